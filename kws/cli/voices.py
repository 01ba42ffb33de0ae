"""The synthetic voices that say a keyword: which there are, how to get more, and what they sound like.

    kws voices                                             list engines and voices, with language and license
    kws voices fetch kokoro                                54 natural voices in nine languages, 121 MB
    kws voices fetch piper:en_US-joe-medium                one voice of Piper's list
    kws voices say kokoro:af_heart "hey computer" --output hello.wav

What is fetched lies in a cache folder of yours, which the list names; the variable KWS_VOICES names another.
"""

from __future__ import annotations

import argparse

from kws.cli.options import add_option

HELP = "list, fetch and hear the synthetic voices that say a keyword"
ACTIONS = ("list", "fetch", "say")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws voices``."""
    add = parser.add_argument
    add("action", nargs="?", choices=ACTIONS, default="list", help="what to do: %(choices)s")
    add("names", nargs="*", metavar="VOICE", help="what to fetch; or the voice, and the text that it says")
    add_option(parser, "--language", "lists its voices alone (default: all)", default=None)
    add_option(parser, "--output", "recording that `say` writes: .wav, .flac or .ogg", metavar="FILE")
    add("--speed", type=float, default=1.0, help="of what is said, relative to the voice's own")
    add_option(parser, "--overwrite", "or a recording that is there")


def run(arguments: argparse.Namespace) -> int:
    """List, fetch or say, and print what came of it."""
    from kws.errors import ConfigError
    from kws.workflows.voices import fetch_voices, say, voices

    names = arguments.names
    if arguments.action == "list":
        if names:
            raise ConfigError(f"got {' '.join(names)!r} too many; `fetch` and `say` take names")
        print("\n".join(voices(arguments.language).lines()))
    elif arguments.action == "fetch":
        if not names:
            raise ConfigError("`fetch` needs a name: kokoro, or piper:NAME of Piper's list")
        for name in names:
            print("\n".join(fetch_voices(name).lines()))
    else:
        if len(names) != 2 or arguments.output is None:
            raise ConfigError("`say` needs a voice, a text in quotes, and where it goes: `output`")
        said = say(names[0], names[1], arguments.output, speed=arguments.speed, overwrite=arguments.overwrite)
        print("\n".join(said.lines()))
    return 0
