"""The one command ``kws``: parses arguments and calls one function per sub-command.

Only this package reaches ``kws``, ``data_prep`` and ``export`` together; a sub-command's imports happen when
it is called.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from kws.cli import installed
from kws.cli.flags import FlagFormatter
from kws.cli.parser import CommandParser
from kws.errors import DependencyError, KwsError

COMMANDS = (
    "quickstart",
    "enroll",
    "prep",
    "data",
    "voices",
    "record",
    "pretrain",
    "probe",
    "train",
    "eval",
    "study",
    "export",
    "tune",
    "doctor",
    "bench",
    "score",
    "listen",
    "serve",
    "web",
    "studio",
)
"""Modules here that hold a sub-command: ``HELP``, ``add_arguments(parser)``, ``run(arguments) -> int``."""
WITHOUT_TRAINING = ("listen", "score", "tune", "doctor", "serve", "web", "bench", "record")
"""Commands for which the device part of the package is enough."""
READER_GONE = 141
"""Exit code where the reader of what is printed has gone: that of a program which SIGPIPE ends."""
SPINS = "3000"
"""How often a waiting thread of torch looks before it sleeps. With the 300 000 of GNU OpenMP two threads
beside two busy processes took 1.9 s for a training step on two cores; with this they take 0.3 s."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults that are values, and keeps the line breaks of a description."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


def build_parser(command: str | None = None) -> CommandParser:
    """Return the parser; only ``command``'s own arguments are added, so that the others import nothing."""
    parser = CommandParser(prog="kws", description="Custom wake words by transfer from a speech recogniser.")
    parser.add_argument("--verbose", action="store_true", help="log what is done")
    parser.add_argument(
        "--version", action=installed.VersionAction, help="tell the version, and those of Python and packages"
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"kws.cli.{name}")
        parser.commands[name] = sub = subparsers.add_parser(
            name, help=module.HELP, description=module.__doc__, formatter_class=HelpFormatter
        )
        sub.add_argument("--verbose", action="store_true", default=argparse.SUPPRESS, help="log what is done")
        if command in (None, name):
            module.add_arguments(sub)
    return parser


def _said(error: OSError) -> str:
    """Return what is wrong, with the remedy where a library of torchaudio does not load."""
    if "libtorchaudio" in str(error):  # torch raises a plain OSError
        return (
            "torchaudio does not load with the torch that is installed, one of them is of another version: "
            f'pip install --upgrade "kws[train]" ({error})'
        )
    return f"a file cannot be read or written: {error}"


def _lacks(error: ModuleNotFoundError) -> str:
    """Return every package that is missing, in one line that brings them all."""
    return f'needs {", ".join(installed.missing(error.name))}: pip install "kws[{installed.EXTRA}]"'


def _lacks_too(command: str, error: DependencyError) -> str:
    """Return what the command will miss next, apart from what the error names; "" where that is all."""
    others = [name for name in installed.missing() if name not in str(error)]
    if command in WITHOUT_TRAINING or not others:
        return ""
    return f'; {", ".join(others)} missing too: pip install "kws[{installed.EXTRA}]"'


def _notes(error: BaseException) -> str:
    """Return what a command adds to an error, such as that its folder is kept."""
    return "".join(f"; {note}" for note in getattr(error, "__notes__", ()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done, 1 a check failed, 2 bad usage or input, 130 and 143 stopped by Ctrl+C and SIGTERM, 141 nobody
        reads what is printed any more, as after ``| head -1``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a keyword or a name that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _main(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest at its end
        return READER_GONE


def _main(argv: list[str]) -> int:
    """Run the command line; see :func:`main`."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is first imported
    command = next((word for word in argv if word in COMMANDS), None)
    if not argv:
        build_parser("").print_help(sys.stderr)
        return 2
    try:
        parser = build_parser(command)
        arguments = parser.parse_args(argv)
        own = parser.commands[arguments.command]
        own.refuse_values(arguments)
    except KwsError as error:
        print(f"kws {command}: {error}", file=sys.stderr)
        return 2
    handler = logging.StreamHandler()
    handler.setFormatter(FlagFormatter("%(levelname)s %(name)s: %(message)s", own.declared))
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, handlers=[handler])
    if not arguments.verbose:
        from kws.workflows.notices import quieten_libraries

        quieten_libraries()
    try:
        status: int = importlib.import_module(f"kws.cli.{arguments.command}").run(arguments)
        return status
    except DependencyError as error:
        said = own.in_flags(f"{error}{_lacks_too(arguments.command, error)}")
        print(f"kws {arguments.command}: {said}", file=sys.stderr)
        return 2
    except KwsError as error:
        print(f"kws {arguments.command}: {own.in_flags(f'{error}{_notes(error)}')}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"kws {arguments.command}: {_said(error)}{_notes(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("kws", "data_prep", "export"):
            raise
        print(f"kws {arguments.command}: {_lacks(error)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, SystemExit) as error:  # Lightning makes an exit of both Ctrl+C and SIGTERM
        print(f"\nkws {arguments.command}: stopped{_notes(error)}", file=sys.stderr)
        by_hand = isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)
        return 130 if by_hand else 143
