"""Where the service listens: an address of TCP, or a socket file; both are free again after a crash."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kws.errors import ConfigError

SOCKET_MODE = 0o660
"""Who may connect to a socket file: its owner and its group."""

BACKLOG = 128
"""Connections that wait to be accepted."""

ALLOWED = "expected tcp://HOST:PORT or unix:///PATH"


@dataclass(frozen=True, slots=True)
class ServeAddress:
    """An address, taken apart: a host with a port, or a path."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def uri(self) -> str:
        """As it is written."""
        if self.path is not None:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Nothing outside this machine reaches it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_uri(uri: str) -> ServeAddress:
    """Take an address apart.

    Raises:
        ConfigError: it is of another form.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"`uri`: got {uri!r} ({error}), {ALLOWED}") from error
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return ServeAddress(path=Path(parts.path))
    if parts.scheme == "tcp" and host and port is not None and parts.path in ("", "/"):
        return ServeAddress(host, port)
    raise ConfigError(f"`uri`: got {uri!r}, {ALLOWED}")


def listening_socket(address: ServeAddress) -> tuple[socket.socket, ServeAddress]:
    """Open the socket; port 0 takes any that is free.

    Returns:
        the socket, which listens, and the address with the port that it has.
    Raises:
        ConfigError: another program listens there, or it is no address of this machine.
    """
    try:
        if address.path is not None:
            return _unix_socket(address.path), address
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # free at once after a crash
            found.bind((address.host, address.port))
            found.listen(BACKLOG)
        except BaseException:
            found.close()
            raise
        return found, ServeAddress(address.host, found.getsockname()[1])
    except OSError as error:
        raise ConfigError(
            f"`uri`: cannot listen at {address.uri} ({error.strerror or error}); "
            "stop the program that does, or choose another address"
        ) from error


def _unix_socket(path: Path) -> socket.socket:
    """Open a socket file; one that nobody listens at any more is replaced.

    Raises:
        ConfigError: another service listens there, or the file is no socket.
    """
    if path.exists() or path.is_symlink():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"`uri`: {path} is there and no socket; choose another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.settimeout(2)
            try:
                other.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise ConfigError(f"`uri`: another service listens at {path}; stop it first")
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.bind(str(path))
        os.chmod(path, SOCKET_MODE)
        found.listen(BACKLOG)
    except BaseException:
        found.close()
        raise
    return found


def remove_socket_file(address: ServeAddress, own: socket.socket) -> None:
    """Remove the socket file of a service that stops, unless another service has put its own there."""
    if address.path is None:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        own.close()
        other.settimeout(1)
        try:
            other.connect(str(address.path))
        except ConnectionRefusedError:
            address.path.unlink(missing_ok=True)
