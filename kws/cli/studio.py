"""Make a wake word on a page of your own machine: no commands, no files to write.

    kws studio

The page opens in your browser. It takes you from the typed keyword over your recordings, training and a
report to a live test and the finished model. Projects are folders that every other command can use as well.
Nothing leaves the machine: the page listens on this machine alone, and the printed address works once.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import webbrowser
from pathlib import Path

HELP = "a local page from a typed keyword to a finished model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws studio``."""
    add = parser.add_argument
    add(
        "--projects",
        type=Path,
        default=Path("projects"),
        metavar="FOLDER",
        help="holds a folder for each project",
    )
    add("--port", type=int, default=0, metavar="PORT", help="to listen on; 0 takes a free one")
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="to listen on; from elsewhere use ssh -L: only pages of this machine get the microphone",
    )
    add("--no-open", action="store_true", help="leave it to you to open the page in a browser")


def run(arguments: argparse.Namespace) -> int:
    """Print the address, and serve until Ctrl+C."""
    from kws.studio.server import serve

    def ready(address: str) -> None:
        print(f"open this address, which works once: {address}", flush=True)
        print(f"projects: {arguments.projects.absolute()}; Ctrl-C ends", flush=True)
        if not arguments.no_open and has_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve(arguments.projects, host=arguments.host, port=arguments.port, ready=ready)
    return 0


def has_screen() -> bool:
    """Tell whether a browser has a screen to open on; a browser in a terminal would take that over."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
