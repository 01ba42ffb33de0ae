"""Write another threshold into an exported file: a value, or what keeps to a rate in an evaluation.

The graph stays as it is. What the file held before stands in its metadata, and model.json beside it says what
it holds now.
"""

from __future__ import annotations

import argparse

from kws.cli.listen import parse_thresholds
from kws.cli.options import add_option
from kws.cli.parser import MODEL, Input

HELP = "another threshold in an exported file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws tune``."""
    parser.add_argument(
        "model", type=MODEL, metavar="MODEL", help="exported .onnx, or the folder of `kws train`"
    )
    add_option(parser, "--output", "without it, MODEL is changed", metavar="FILE")
    add_option(parser, "--threshold", "to be written")
    add_option(parser, "--false-accepts-per-hour", "the lowest threshold that kept to it in the evaluation")
    parser.add_argument(
        "--evaluation",
        type=Input("evaluation.json of `kws eval`"),
        metavar="FILE",
        help="evaluation.json of `kws eval`; without it, the one beside the model",
    )


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`tune` and print what changed."""
    from kws.workflows.tune import tune

    summary = tune(
        arguments.model,
        arguments.output,
        threshold=parse_thresholds(arguments.threshold),
        false_accepts_per_hour=arguments.false_accepts_per_hour,
        evaluation=arguments.evaluation,
    )
    for keyword, threshold in summary.after.items():
        print(f"{keyword}: {summary.before[keyword]:.4f} -> {threshold:.4f}")
    print(summary.model)
    return 0
