"""Which depth to cut the encoder at: a linear probe of each depth on your keyword, what it knows and costs.

Nothing is fine-tuned: the figures are no promise of what `kws train` reaches. A depth is recommended where it
is shown to miss fewer of the same held-out recordings than every other one.
"""

from __future__ import annotations

import argparse

from kws.cli.options import add_option
from kws.cli.parser import one_each

HELP = "what each depth of the encoder knows of your keyword and costs, with a table and a plot"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws probe``."""
    add = parser.add_argument
    add_option(parser, "--keyword", "repeat for several", dest="keywords", action="append", required=True)
    add_option(parser, "--positives", "give one for each --keyword", required=True)
    add_option(parser, "--negatives", required=True)
    add_option(parser, "--noise", "it is mixed in and ignored")
    add_option(parser, "--output", "the folder gets probe.json, probe.md and probe.png", required=True)
    add_option(parser, "--encoder", default="embedded")
    add_option(parser, "--weights", "(default: what ships, or a download)")
    add("--depths", type=int, nargs="*", default=[], metavar="N", help="which to probe; without it, all")
    add("--dev-hours", type=float, default=1.0, help="hours of held-out negatives that are read")
    add_option(parser, "--false-accepts-per-hour", "misses are counted at it", default=1.0)
    add_option(parser, "--seed")
    add_option(parser, "--cache", "(default: OUTPUT/cache)")
    add_option(parser, "--workers")


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
