"""Train a wake word from recordings of it and recordings without it.

    kws train --keyword computer --positives RECORDINGS --negatives SPEECH --noise NOISE --output RUN
    kws export RUN

RECORDINGS, SPEECH and NOISE are folders, manifests (JSON Lines or CSV with a `path` column) or Lhotse cuts.
Without --negatives or --noise, what `kws data fetch` brought is taken, and the command says what.
Several keywords: give --keyword and --positives once for each, in the same order. Without any --positives,
synthetic voices alone say the keywords. A run that was stopped goes on when the same command is given again.
Another keyword later, with the first left as it is to the last bit:

    kws train --add-to RUN --keyword lights --positives RECORDINGS --negatives SPEECH --output RUN2
"""

from __future__ import annotations

import argparse

from kws.cli.known import HEADS, POLICIES
from kws.cli.options import add_option
from kws.cli.parser import RECORDINGS, RUN, one_each, renamed_option
from kws.workflows.train.options import OPTION_KEYS

HELP = "recordings to a keyword model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws train``."""
    add = parser.add_argument
    add_option(parser, "--keyword", "repeat for several", dest="keywords", action="append", required=True)
    add_option(
        parser,
        "--positives",
        "give one for each --keyword, or none at all: then synthetic voices alone say it",
    )
    add_option(parser, "--negatives", "(default: what `kws data fetch` brought)")
    add_option(
        parser, "--noise", "it is mixed in and ignored (default: fetched noise, else noise is made to mix in)"
    )
    add_option(parser, "--rooms")
    add(
        "--target-audio",
        metavar="PATH",
        action="append",
        type=RECORDINGS,
        default=[],
        help="recordings without labels of where the detector will be used, which the regularisers dann and "
        "mmd bring near; may be repeated (default: real speech beside synthetic voices)",
    )
    add_option(parser, "--output", required=True)
    add(
        "--add-to",
        type=RUN,
        metavar="RUN",
        help="finished run whose model gets the keyword as well; its own scores and thresholds stay the same",
    )
    add(
        "--policy",
        choices=POLICIES,
        metavar="NAME",
        help="which layers move: %(choices)s (default: auto, by the number of recordings)",
    )
    add("--depth", type=int, metavar="N", help="encoder layers to keep (default: 6)")
    add(
        "--head",
        choices=HEADS,
        metavar="NAME",
        help="what is stacked on the encoder: %(choices)s (default: conv)",
    )
    add_option(parser, "--encoder", "(default: embedded)")
    add_option(parser, "--weights", "(default: what ships, or a download)")
    add_option(parser, "--false-accepts-per-hour", "the threshold is chosen for it (default: 0.5)")
    add_option(parser, "--seed", "(default: 0)", default=None)
    add_option(parser, "--config", "with `model` and `train` keys")
    add_option(parser, "--set", "such as train.epochs=12")
    add_option(parser, "--cache", "(default: OUTPUT/cache, until the run is finished)")
    add_option(parser, "--workers")
    add(
        "--num-synthetic",
        type=int,
        metavar="N",
        help="synthetic recordings of each keyword as further positives, with other speech by like voices "
        "(default: 600 without recordings, else 200, as less was missed with them)",
    )
    add(
        "--num-confusables",
        type=int,
        metavar="N",
        help="synthetic recordings, for each keyword, of what sounds like it or a part of it, as further "
        "negatives (default: 300 for a keyword of several words, so that none of them fires alone, else 0)",
    )
    add_option(parser, "--language", "synthetic voices speak it")
    add_option(parser, "--voices", "(default: the best that are installed)")
    add("--control", action="store_true", help="also train from scratch and state what transfer gained")
    add_option(parser, "--overwrite", "a finished run, or one of other settings")
    renamed_option(parser, "--synthetic", "--num-synthetic")
    renamed_option(parser, "--confusables", "--num-confusables")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`train` and print what it chose."""
    from kws.workflows.train import train

    one_each(arguments.keywords, arguments.positives)
    values = vars(arguments)
    chosen = [f"{key}={values[name]}" for name, key in OPTION_KEYS.items() if values[name] is not None]
    summary = train(
        arguments.keywords,
        arguments.positives,
        arguments.negatives,
        arguments.output,
        noise=arguments.noise or None,
        rooms=arguments.rooms,
        target_audio=arguments.target_audio,
        config=arguments.config,
        overrides=[*arguments.overrides, *chosen],
        cache=arguments.cache,
        num_workers=arguments.num_workers,
        num_synthetic=arguments.num_synthetic,
        num_confusables=arguments.num_confusables,
        language=arguments.language,
        voices=arguments.voices,
        add_to=arguments.add_to,
        control=arguments.control,
        overwrite=arguments.overwrite,
    )
    print(arguments.parser.in_flags("\n".join(summary.lines())))
    return 1 if summary.metrics.get("unusable") else 0
