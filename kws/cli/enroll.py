"""Make a detector from a typed phrase. No recordings of it are needed; a few help.

In English, where Flite is installed, synthetic voices say the phrase, and a small layer learns to tell them
from hours of other speech that come with the package: half a minute. Your own --recordings of the phrase,
three to ten, are learnt beside the voices. The detector listens for the sounds of the phrase, its phones, as
well. In other languages, or without Flite, it listens for the phones alone: that takes seconds and misses
more. The threshold is chosen on speech without the phrase: yours (--negatives), or what comes with the
package. With ten recordings or more, `kws train` takes minutes and misses less. --method names two further
methods from the literature, which miss more (RESULTS.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.known import METHODS
from kws.cli.parser import PRETRAINED, RECORDINGS, RUN, Input, renamed_option

HELP = "a detector from a typed phrase, in a minute; no recordings needed, a few help"


LEXICON = Input("a file with a line `WORD PH PH PH` for each word", "no such lexicon")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws enroll``."""
    add = parser.add_argument
    add(
        "phrases",
        nargs="+",
        metavar="PHRASE",
        help="what the device shall wake on, in quotes; several give one model",
    )
    add("--output", type=Path, required=True, help="folder for the model; gets model.onnx")
    add(
        "--recordings",
        type=RECORDINGS,
        action="append",
        default=[],
        help="folder or manifest of three to ten recordings of the phrase; with several, one for each",
    )
    add(
        "--method",
        choices=METHODS,
        help="how the phrase is found. `examples`: a layer learnt from synthetic voices and --recordings, "
        "and the phones; the default where there are any of these. `phones`: the phones alone, with "
        "recordings also those heard in them; the default elsewhere. `attributes`: how the phones are "
        "formed, over a window as a whole. `words`: a combination of known words",
    )
    add("--language", default="en", help="eSpeak language of the phrases; `en` is every accent of English")
    add("--lexicon", type=LEXICON, help="own pronunciations, a line `WORD PH PH PH` (ARPAbet) for each word")
    add(
        "--negatives",
        type=RECORDINGS,
        action="append",
        default=[],
        help="speech without the phrases, to choose the threshold on; it is read as it is, and in noise and "
        "rooms. May be repeated (default: speech that comes with the package)",
    )
    add(
        "--noise",
        type=RECORDINGS,
        action="append",
        default=[],
        help="noise of the place, to mix into the examples and --negatives: less is missed in it then. May "
        "be repeated (default: noise is made)",
    )
    add(
        "--false-accepts-per-hour",
        type=float,
        default=0.5,
        help="how often each phrase may fire without being said, per hour of audio",
    )
    add(
        "--weights",
        type=PRETRAINED,
        help="own recogniser: output folder of `kws pretrain` (default: what comes with it)",
    )
    add(
        "--ensemble",
        type=RUN,
        metavar="RUN",
        help="finished run of `kws train` for the same phrases, to be joined with the typed ones in one "
        "model, which misses less than either. The threshold is chosen on the speech that the run held out",
    )
    add("--workers", dest="num_workers", type=int, default=2, help="processes that read audio")
    add("--overwrite", action="store_true", help="replace what other phrases left in the folder")
    renamed_option(parser, "--way", "--method")
    renamed_option(parser, "--beside", "--ensemble")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`enroll` and print what it made."""
    from kws.workflows.enroll import enroll

    made = enroll(
        arguments.phrases,
        arguments.output,
        recordings=arguments.recordings,
        method=arguments.method,
        language=arguments.language,
        lexicon=arguments.lexicon,
        negatives=arguments.negatives,
        noise=arguments.noise,
        false_accepts_per_hour=arguments.false_accepts_per_hour,
        weights=arguments.weights,
        ensemble=arguments.ensemble,
        num_workers=arguments.num_workers,
        overwrite=arguments.overwrite,
    )
    print(arguments.parser.in_flags("\n".join(made.lines())))
    return 0
