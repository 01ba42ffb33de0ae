"""Tells systemd that the service is ready and still alive; without systemd it does nothing."""

from __future__ import annotations

import contextlib
import os
import socket


def tell_systemd(state: str) -> bool:
    """Send a state, such as ``READY=1``, to the socket that systemd names in ``NOTIFY_SOCKET``.

    Returns:
        Whether there is such a socket and it took the state.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.settimeout(1)
        own.sendto(state.encode(), path.replace("@", "\0", 1) if path.startswith("@") else path)
        return True
    return False


def watchdog_s() -> float | None:
    """Return how often to send ``WATCHDOG=1``, in seconds: half of what systemd waits; None without it."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 2e6 if text.isdecimal() and int(text) > 0 else None
