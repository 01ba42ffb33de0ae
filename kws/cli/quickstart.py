"""Make a wake word from its text, and hear it found in a stream: no recordings, no network, a minute.

The detector is that of `kws enroll`. It is shown a stream in which voices that it never learnt from say the
phrase, with other speech around it. They are SYNTHETIC voices: real people are harder. How to listen with the
microphone, and how to train on recordings, is printed at the end.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from kws.cli.options import add_option
from kws.cli.parser import renamed_option

HELP = "a wake word from its text, found in a stream: where to begin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws quickstart``."""
    add_option(parser, "--keyword", default="hey computer")
    add_option(parser, "--language")
    add_option(parser, "--output", "the folder gets detector and stream", default=Path("runs/quickstart"))
    add_option(parser, "--voices", "(default: the best that are installed)")
    add_option(parser, "--seed")
    add_option(parser, "--overwrite")
    renamed_option(parser, "--phrase", "--keyword")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`quickstart` and print what it found; 1 when the phrase was not heard in the stream."""
    from kws.workflows.quickstart import quickstart

    result = quickstart(
        arguments.keyword,
        arguments.output,
        language=arguments.language,
        voices=arguments.voices,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        say=lambda line: print(arguments.parser.in_flags(line)),
    )
    print("\n".join(next_steps(arguments.keyword, result.model)))
    return 0 if result.heard else 1


def next_steps(keyword: str, model: Path) -> Sequence[str]:
    """Return how to use a detector, and how to make a better one."""
    run = Path("runs") / "_".join(keyword.split())
    train = (
        f"kws train --keyword {shlex.quote(keyword)} --positives recordings --negatives speech --output {run}"
    )
    return (
        f"detector: {model}, one file for any device; it wakes on {keyword!r}",
        f"listen with the microphone: kws listen {model}",
        "next, to miss less: record the keyword ten times or more into a folder `recordings`, put an hour or "
        "more of other speech into a folder `speech`, then",
        f"    {train}",
        f"    kws export {run}",
        f"    kws listen {run / 'model.onnx'}",
    )
