"""Record yourself saying a keyword; each take is checked at once, and the folder is what `kws train` takes.

    kws record computer --output recordings --speaker ann
    kws record computer --output recordings --speaker ann --takes 10 --with-negatives --with-noise

Before each take it counts down. Then say the keyword once, as you would say it to the device. A good take is
kept; of another one it is said what is wrong, and you record it again or keep it anyway. Ctrl+C stops and
loses nothing: the same command goes on later. Record every person who will use the device, each under a name.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli.listen import parse_channel
from kws.cli.options import add_option

if TYPE_CHECKING:
    from kws.workflows.record import RecordSummary

NAME = "record"
HELP = "record yourself saying the keyword, each take checked at once, for `kws train`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("keyword", metavar="KEYWORD", help="what the device shall wake on, in quotes where it has spaces")
    add_option(parser, "--output", "what lies there counts (default: recordings/KEYWORD)")
    add_option(parser, "--speaker", "one folder holds any number of people", default="me")
    add(
        "--takes",
        dest="num_takes",
        type=int,
        default=10,
        metavar="N",
        help="takes of this speaker that are wanted in all",
    )
    add(
        "--with-negatives",
        dest="negatives",
        action="store_true",
        help="also record a minute of other speech: you read sentences",
    )
    add(
        "--with-noise",
        dest="noise",
        action="store_true",
        help="also record a minute of the room without speech",
    )
    add_option(parser, "--language", "the sentences to read are in it, where there are some")
    add_option(parser, "--device", "`kws listen --list-devices` lists them")
    add_option(
        parser,
        "--file",
        "(`arecord -f S16_LE -r 16000 | kws record KEYWORD --file -`). Good takes are kept and others "
        "repeated, unasked",
    )
    add_option(parser, "--channel")
    add(
        "--countdown",
        dest="countdown_s",
        type=int,
        default=3,
        metavar="SECONDS",
        help="before each take, in seconds",
    )
    add(
        "--length",
        dest="length_s",
        type=float,
        metavar="SECONDS",
        help="of a take, in seconds (default: 2.5, or what a longer keyword needs)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Record and print what lies in the folder; returns 130 after Ctrl+C."""
    from kws.cli.record_guide import KeyGuide, LineGuide
    from kws.workflows.record import record, summary_of
    from kws.workflows.recording_folder import RecordingFolder

    output = arguments.output or Path("recordings") / "_".join(arguments.keyword.split())
    folder = RecordingFolder(output, arguments.keyword)
    by_keys = arguments.file is None and sys.stdin.isatty() and sys.stderr.isatty()
    guide = KeyGuide(arguments.parser.in_flags) if by_keys else LineGuide(arguments.parser.in_flags)
    code = 0
    try:
        summary = record(
            arguments.keyword,
            output,
            speaker=arguments.speaker,
            num_takes=arguments.num_takes,
            negatives=arguments.negatives,
            noise=arguments.noise,
            language=arguments.language,
            device=arguments.device,
            file=arguments.file,
            channel=parse_channel(arguments.channel),
            countdown_s=arguments.countdown_s,
            length_s=arguments.length_s,
            guide=guide,
        )
    except KeyboardInterrupt:
        code = 130
        folder.refresh()
        summary = summary_of(folder, arguments.speaker, arguments.language)
    guide.clear()
    told = {f"note: {note}" for note in guide.told}
    print(arguments.parser.in_flags("\n".join(line for line in summary.lines() if line not in told)))
    print(f"next: {next_command(summary)}")
    return code


def next_command(summary: RecordSummary) -> str:
    """Return the command to go on with: `kws train`, or `kws record` for what it still needs."""
    keyword = shlex.quote(summary.keyword)
    language = "" if summary.language == "en" else f" --language {summary.language}"
    speaker = "" if summary.speaker == "me" else f" --speaker {summary.speaker}"
    again = f"kws record {keyword} --output {shlex.quote(str(summary.output))}{speaker}{language}"
    if not summary.takes:
        return again
    if not summary.negatives_s:
        return f"{again} --with-negatives --with-noise"
    positives, negatives, noise = (
        shlex.quote(str(summary.output / name)) for name in ("positives.jsonl", "negatives.jsonl", "noise")
    )
    run = shlex.quote(str(Path("runs") / "_".join(summary.keyword.split())))
    return (
        f"kws train --keyword {keyword} --positives {positives} --negatives {negatives}"
        f"{f' --noise {noise}' if summary.noise_s else ''}{language} --output {run}"
    )
