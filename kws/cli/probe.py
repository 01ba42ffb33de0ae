"""Which depth to cut the encoder at: a linear probe of each depth on your keyword, what it knows and costs.

Nothing is fine-tuned: the figures are no promise of what `kws train` reaches. A depth is recommended where it
is shown to miss fewer of the same held-out recordings than every other one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.known import ENCODERS
from kws.cli.parser import PRETRAINED, RECORDINGS, one_each

HELP = "what each depth of the encoder knows of your keyword and costs, with a table and a plot"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws probe``."""
    add = parser.add_argument
    add("--keyword", action="append", required=True, help="the phrase; repeat for several")
    add(
        "--positives",
        action="append",
        type=RECORDINGS,
        required=True,
        help="recordings; one for each --keyword",
    )
    add("--negatives", action="append", type=RECORDINGS, required=True, help="speech without the keyword")
    add("--noise", action="append", type=RECORDINGS, default=[], help="noise to mix in and to ignore")
    add("--output", type=Path, required=True, help="folder for probe.json, probe.md and probe.png")
    add("--encoder", choices=ENCODERS, metavar="NAME", default="embedded", help="name of the encoder")
    add("--weights", type=PRETRAINED, help="local weights of the encoder")
    add("--depths", type=int, nargs="*", default=[], help="which to probe; without it, all")
    add("--dev-hours", type=float, default=1.0, help="hours of held-out negatives that are read")
    add("--false-accepts-per-hour", type=float, default=1.0, help="rate at which misses are counted")
    add("--seed", type=int, default=0, help="seed of windows and augmentation")
    add("--cache", type=Path, help="folder for decoded audio (default: OUTPUT/cache)")
    add("--workers", type=int, default=2, help="processes that read audio")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`probe` and print the table."""
    from kws.workflows.probe import probe

    values = {name: value for name, value in vars(arguments).items() if name not in ("command", "verbose")}
    keywords = values.pop("keyword")
    one_each(keywords, values["positives"])
    positives, negatives = values.pop("positives"), values.pop("negatives")
    summary = probe(
        keywords,
        positives,
        negatives,
        values.pop("output"),
        num_workers=values.pop("workers"),
        encoder_name=values.pop("encoder"),
        **values,
    )
    print("\n".join(summary.lines()))
    return 0
