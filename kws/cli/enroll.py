"""Make a detector from a typed keyword. No recordings of it are needed; a few help.

In English, where Flite is installed, synthetic voices say the phrase, and a small layer learns to tell them
from hours of other speech that come with the package: half a minute. Your own --recordings of the phrase,
three to ten, are learnt beside the voices. The detector listens for the sounds of the phrase, its phones, as
well. In other languages, or without Flite, it listens for the phones alone: that takes seconds and misses
more. The threshold is chosen on speech without the phrase: yours (--negatives), or what comes with the
package. With ten recordings or more, `kws train` takes minutes and misses less. --method names two further
methods from the literature, which miss more (docs/results/typed.md).
"""

from __future__ import annotations

import argparse

from kws.cli.known import METHODS
from kws.cli.options import SHARED, add_option
from kws.cli.parser import RECORDINGS, RUN, Input, renamed_option

HELP = "a detector from a typed phrase, in a minute; no recordings needed, a few help"


LEXICON = Input("a file with a line `WORD PH PH PH` for each word", "no such lexicon")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws enroll``."""
    add = parser.add_argument
    add("keywords", nargs="+", metavar="KEYWORD", help=f"{SHARED['--keyword'][0]}; several give one model")
    add_option(parser, "--output", "the folder gets model.onnx", required=True)
    add(
        "--recordings",
        type=RECORDINGS,
        metavar="PATH",
        action="append",
        default=[],
        help="three to ten recordings of the keyword; with several keywords, one for each",
    )
    add(
        "--method",
        choices=METHODS,
        help="how the keyword is found. `examples`: a layer learnt from synthetic voices and --recordings, "
        "and the phones; the default where there are any of these. `phones`: the phones alone, with "
        "recordings also those heard in them; the default elsewhere. `attributes`: how the phones are "
        "formed, over a window as a whole. `words`: a combination of known words",
    )
    add_option(parser, "--language")
    add(
        "--lexicon",
        type=LEXICON,
        metavar="FILE",
        help="own pronunciations, a line `WORD PH PH PH` (ARPAbet) for each word",
    )
    add_option(
        parser,
        "--negatives",
        "the threshold is chosen on them as they are, and in noise and rooms (default: speech that comes "
        "with the package)",
    )
    add_option(parser, "--noise", "it is mixed into the examples and --negatives (default: noise is made)")
    add_option(parser, "--false-accepts-per-hour", "the threshold is chosen for it (default: 0.5)")
    add_option(parser, "--weights", "output folder of `kws pretrain` (default: what ships)")
    add(
        "--ensemble",
        type=RUN,
        metavar="RUN",
        help="finished run of `kws train` for the same keywords, to be joined with the typed ones in one "
        "model, which misses less than either. The threshold is chosen on the speech that the run held out",
    )
    add_option(parser, "--config", "of all that is tuned; see the guide")
    add_option(parser, "--set", "such as examples.num_voices=200")
    add_option(parser, "--voices", "(default: the best that are installed)")
    add_option(parser, "--workers")
    add_option(parser, "--overwrite")
    renamed_option(parser, "--way", "--method")
    renamed_option(parser, "--beside", "--ensemble")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`enroll` and print what it made."""
    from kws.workflows.enroll import enroll

    made = enroll(
        arguments.keywords,
        arguments.output,
        recordings=arguments.recordings,
        method=arguments.method,
        language=arguments.language,
        voices=arguments.voices,
        lexicon=arguments.lexicon,
        negatives=arguments.negatives,
        noise=arguments.noise,
        false_accepts_per_hour=arguments.false_accepts_per_hour,
        weights=arguments.weights,
        ensemble=arguments.ensemble,
        config=arguments.config,
        overrides=arguments.overrides,
        num_workers=arguments.num_workers,
        overwrite=arguments.overwrite,
    )
    print(arguments.parser.in_flags("\n".join(made.lines())))
    return 0
