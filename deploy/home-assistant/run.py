"""Starts the service in Home Assistant's add-on: its options as arguments, and word to Home Assistant.

The Supervisor writes the options to a file. A process beside the service waits until that answers, and tells
the Supervisor where it is, so that Home Assistant offers to add it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

OPTIONS = Path(os.environ.get("KWS_OPTIONS", "/data/options.json"))
MODELS = os.environ.get("KWS_MODELS", "/config")
"""The add-on's own folder, which Home Assistant shows as addon_configs/local_kws."""
PORT = int(os.environ.get("KWS_PORT", "10400"))
SUPERVISOR = os.environ.get("KWS_SUPERVISOR", "http://supervisor")
FLAGS = {"thresholds": "--threshold", "refractory": "--refractory", "smoothing": "--smoothing"}
READY_S = 60.0


def arguments(options: dict) -> list[str]:
    """Return the command line for what a person set in Home Assistant."""
    words = ["kws", "serve", MODELS, "--uri", f"tcp://0.0.0.0:{PORT}"]
    words += [f"--log-format={options.get('log_format', 'text')}"]
    for name, flag in FLAGS.items():
        words += [f"{flag}={value}" for value in options.get(name, [])]
    return words


def announce(token: str) -> None:
    """Tell the Supervisor where the service is, once it answers."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
            break
        except OSError:
            time.sleep(0.5)
    told = {"service": "wyoming", "config": {"uri": f"tcp://{socket.gethostname()}:{PORT}"}}
    request = urllib.request.Request(
        f"{SUPERVISOR}/discovery",
        json.dumps(told).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError as error:
        sys.stderr.write(f"Home Assistant was not told of the service ({error}); add it by hand\n")


def beside(call: Callable[[], None]) -> None:
    """Call in a process whose end nobody has to wait for: it is no child of this one."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        try:
            if os.fork() == 0:
                call()
        finally:
            os._exit(0)


def main() -> None:
    """Become the service."""
    options = json.loads(OPTIONS.read_text("utf-8"))
    token = os.environ.pop("SUPERVISOR_TOKEN", "")  # the service itself has no use for it
    if token:
        beside(lambda: announce(token))
    words = arguments(options)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
