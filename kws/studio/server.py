"""Serves the studio: binds a port, tells the address, and runs until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from kws.errors import ConfigError, DependencyError

QUEUE = 8
"""Messages of a websocket that wait at most."""
MOST_CONNECTIONS = 64
GRACE_S = 3
"""So long open requests may take when the studio ends."""


def serve(
    projects: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the studio until Ctrl+C or SIGTERM.

    Args:
        projects: folder of the projects; made when missing.
        host: to listen on; the default is this machine alone.
        port: 0 takes one that is free.
        ready: called with the address to open, which holds the token.
    Raises:
        ConfigError: the port is taken, or the folder is a file.
        DependencyError: a package of the studio is not installed.
    """
    try:
        import uvicorn

        from kws.studio.api import StudioState
        from kws.studio.app import create_app
        from kws.studio.live import LARGEST_PIECE
        from kws.studio.security import Session
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "kws":
            raise
        raise DependencyError(f'the studio needs {error.name}: `pip install "kws[train,studio]"`') from error
    if projects.exists() and not projects.is_dir():
        raise ConfigError(f"`projects` {projects}: is a file; give a folder")
    projects.mkdir(parents=True, exist_ok=True)
    listening = bind(host, port)
    session = Session()
    app = create_app(StudioState(projects.absolute()), session, host)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S,
            ws_max_size=LARGEST_PIECE,
            ws_max_queue=QUEUE,
        )
    )
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    ready(f"http://{shown}:{listening.getsockname()[1]}/?token={session.token}")
    server.run(sockets=[listening])


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigError: the address cannot be had.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"`port`: got {port}, allowed: 0 to 65535; 0 takes a free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(MOST_CONNECTIONS)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"`port` {port} of {host}: cannot be had ({error.strerror}); give another, or 0 for a free one"
        ) from error
    return listening
