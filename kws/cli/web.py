"""Write a page that hears the keyword in a browser: a folder for any server, and for pages of your own."""

from __future__ import annotations

import argparse
import shlex
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kws.cli.options import add_option
from kws.cli.parser import MODEL
from kws.counts import counted
from kws.errors import ConfigError

HELP = "the keyword in a browser: a folder that any server of files can hold"
LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "model", type=MODEL, metavar="MODEL", help="exported .onnx file, or the folder of a run that holds it"
    )
    add_option(parser, "--output", "index.html there is the page", required=True)
    add_option(parser, "--overwrite")
    parser.add_argument(
        "--open",
        dest="port",
        nargs="?",
        type=int,
        const=DEFAULT_PORT,
        metavar="PORT",
        help="then serve the folder to this machine alone, and open the page in the browser; "
        f"Ctrl-C ends it; PORT is {DEFAULT_PORT} where none is given, 0 takes a free one",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the folder, say what can be done with it, and serve it where that is wished."""
    from kws.workflows.web import web

    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        raise ConfigError(f"--open {arguments.port}: expected a port from 0 to 65535")
    made = web(arguments.model, arguments.output, overwrite=arguments.overwrite)
    words = ", ".join(f"{keyword} (from {threshold:.2f})" for keyword, threshold in made.thresholds.items())
    files = counted(len(made.files), "file")
    print(f"{made.folder / 'index.html'}  {words}, {files} of {made.size_mb:.1f} MB, licence {made.license}")
    if arguments.port is not None:
        return show(made.folder, arguments.port)
    place = shlex.quote(str(made.folder))
    print(f"  look at it: python -m http.server --bind {LOOPBACK} -d {place}")
    print("  put it on: any https server of files; browsers give the microphone to https and localhost alone")
    print(f"  in a page of your own: {made.folder / 'README.md'}")
    return 0


def show(folder: Path, port: int) -> int:
    """Serve a folder to this machine and open it in the browser, until Ctrl-C."""
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), partial(_Files, directory=str(folder)))
    except OSError as error:
        raise ConfigError(f"--open {port}: cannot listen there ({error}); give another port, or 0") from error
    address = f"http://{LOOPBACK}:{server.server_port}/"
    with server:
        print(f"  {address}  Ctrl-C ends", flush=True)
        webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


class _Files(SimpleHTTPRequestHandler):
    """Serves files by types of its own: on some systems another program has changed that of scripts."""

    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing about each file."""
