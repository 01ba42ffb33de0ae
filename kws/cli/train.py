"""Train a wake word from recordings of it and recordings without it.

    kws train --keyword computer --positives RECORDINGS --negatives SPEECH --noise NOISE --output RUN
    kws export RUN

RECORDINGS, SPEECH and NOISE are folders, manifests (JSON Lines or CSV with a `path` column) or Lhotse cuts.
Several keywords: give --keyword and --positives once for each, in the same order. Without any --positives,
synthetic voices alone say the keywords. A run that was stopped goes on when the same command is given again.
Another keyword later, with the first left as it is to the last bit:

    kws train --add-to RUN --keyword lights --positives RECORDINGS --negatives SPEECH --output RUN2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.known import ENCODERS, HEADS, POLICIES
from kws.cli.parser import PRETRAINED, RECORDINGS, RUN, Input, one_each
from kws.workflows.train.request import OPTION_KEYS

HELP = "recordings to a keyword model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws train``."""
    add = parser.add_argument
    add("--keyword", dest="keywords", action="append", required=True, help="the phrase; repeat for several")
    add(
        "--positives",
        action="append",
        type=RECORDINGS,
        default=[],
        help="recordings of the keyword; one for each --keyword, or none at all: then synthetic voices alone "
        "say it",
    )
    add(
        "--negatives",
        action="append",
        type=RECORDINGS,
        required=True,
        help="speech without the keyword; may be repeated",
    )
    add(
        "--noise",
        action="append",
        type=RECORDINGS,
        default=[],
        help="noise to mix in and to ignore; may be repeated; without it, noise is made to mix in",
    )
    add(
        "--target-audio",
        action="append",
        type=RECORDINGS,
        default=[],
        help="recordings without labels of where the detector will be used, which the regularisers dann and "
        "mmd bring near; may be repeated (default: real speech beside synthetic voices)",
    )
    add("--output", type=Path, required=True, help="folder of the run")
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
    add("--depth", type=int, help="encoder layers to keep (default: 6)")
    add(
        "--head",
        choices=HEADS,
        metavar="NAME",
        help="what is stacked on the encoder: %(choices)s (default: conv)",
    )
    add("--encoder", choices=ENCODERS, metavar="NAME", help="name of the encoder (default: embedded)")
    add(
        "--weights", type=PRETRAINED, help="local weights of the encoder (default: what ships, or a download)"
    )
    add(
        "--false-accepts-per-hour",
        type=float,
        help="rate that the threshold is chosen for, per hour of audio (default: 0.5)",
    )
    add("--seed", type=int, help="seed of head, draws and augmentation (default: 0)")
    add("--config", type=Input("a YAML file"), help="YAML with `model` and `train` keys")
    add(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key, such as train.epochs=12",
    )
    add(
        "--cache",
        type=Path,
        help="folder for decoded audio, shared by runs over the same files (default: RUN/cache, until the "
        "run is finished)",
    )
    add("--workers", dest="num_workers", type=int, default=2, help="processes that read audio")
    add(
        "--synthetic",
        type=int,
        metavar="N",
        help="synthetic recordings of each keyword as further positives, with other speech by like voices "
        "(default: 600 without recordings, else 200, as less was missed with them)",
    )
    add(
        "--confusables",
        type=int,
        default=0,
        metavar="N",
        help="synthetic recordings, for each keyword, of words that sound like it, as further negatives; "
        "more was missed with them (RESULTS.md)",
    )
    add("--language", default="en", help="eSpeak language of the keywords, for --synthetic and --confusables")
    add("--control", action="store_true", help="also train from scratch and state what transfer gained")
    add(
        "--overwrite", action="store_true", help="start anew in a folder that holds another or a finished run"
    )


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
        noise=arguments.noise,
        target_audio=arguments.target_audio,
        config=arguments.config,
        overrides=[*arguments.overrides, *chosen],
        cache=arguments.cache,
        num_workers=arguments.num_workers,
        synthetic=arguments.synthetic,
        confusables=arguments.confusables,
        language=arguments.language,
        add_to=arguments.add_to,
        control=arguments.control,
        overwrite=arguments.overwrite,
    )
    print(arguments.parser.in_flags("\n".join(summary.lines())))
    return 1 if summary.metrics.get("unusable") else 0
