"""Get speech without the keyword, noise and room responses that people may use, and check what was fetched.

    kws data                                      list corpora, with size and license, and what is here
    kws data fetch mini_librispeech esc50         seven hours of English speech, and everyday sounds
    kws data fetch fleurs:es_419                  read sentences in one of 102 languages
    kws data check                                read again what was fetched

`kws train` takes what lies in the default folder where no --negatives or no --noise is given. The list names
the folder; the variable KWS_DATA names another.
"""

from __future__ import annotations

import argparse

from kws.cli.options import add_option

HELP = "list, fetch and check speech, noise and room responses for training"
ACTIONS = ("list", "fetch", "check")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws data``."""
    add = parser.add_argument
    add("action", nargs="?", choices=ACTIONS, default="list", help="what to do: %(choices)s")
    add("names", nargs="*", metavar="NAME", help="corpora to fetch; or folders to check")
    add_option(parser, "--output", "with a folder for each corpus (default: as the list says)")
    add(
        "--accept-noncommercial",
        action="store_true",
        help="fetch a corpus although its license forbids commercial use",
    )
    add_option(parser, "--overwrite", "for the corpora that are named")


def run(arguments: argparse.Namespace) -> int:
    """List, fetch or check, and print what came of it."""
    from pathlib import Path

    from kws.errors import ConfigError
    from kws.workflows.public_data import check_data, fetch_data, list_data

    names, in_flags = arguments.names, arguments.parser.in_flags
    if arguments.action == "list":
        if names:
            raise ConfigError(f"got {' '.join(names)!r} too many; `fetch` takes names, and `check` folders")
        print("\n".join(list_data().lines()))
        return 0
    if arguments.action == "check":
        checked = check_data([Path(name) for name in names])
        print(in_flags("\n".join(checked.lines())))
        return 0 if checked.is_good else 1
    if not names:
        raise ConfigError("`fetch` needs a name; `kws data` lists them")
    for name in names:
        fetched = fetch_data(
            name,
            arguments.output,
            accept_noncommercial=arguments.accept_noncommercial,
            overwrite=arguments.overwrite,
        )
        print(in_flags("\n".join(fetched.lines())), flush=True)
    return 0
