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
    add("--keyword", dest="keywords", action="append", required=True, help="the phrase; repeat for several")
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
    add("--workers", dest="num_workers", type=int, default=2, help="processes that read audio")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`probe` and print the table."""
    from kws.workflows.probe import probe

    one_each(arguments.keywords, arguments.positives)
    summary = probe(
        arguments.keywords,
        arguments.positives,
        arguments.negatives,
        arguments.output,
        noise=arguments.noise,
        encoder_name=arguments.encoder,
        weights=arguments.weights,
        depths=arguments.depths,
        dev_hours=arguments.dev_hours,
        false_accepts_per_hour=arguments.false_accepts_per_hour,
        seed=arguments.seed,
        cache=arguments.cache,
        num_workers=arguments.num_workers,
    )
    print(arguments.parser.in_flags("\n".join(summary.lines())))
    return 0
