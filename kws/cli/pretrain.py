"""Pretrain the embedded phone recogniser from manifests of transcribed speech.

A run that was stopped goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.parser import RECIPE, Input

HELP = "transcribed speech to the embedded encoder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws pretrain``."""
    parser.add_argument("recipe", type=RECIPE, help="YAML recipe, such as kws/recipes/embedded.yaml")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for checkpoints, log, weights and metrics"
    )
    parser.add_argument(
        "--root",
        type=Input("a folder"),
        help="folder that the recipe's manifests are relative to (default: the recipe's)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder for decoded speech, 115 MB an hour, shared by runs over the same files (default: "
        "OUTPUT/cache)",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one key of the recipe",
    )


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`pretrain` and print the phone error rates."""
    from kws.workflows.pretrain import pretrain

    made = pretrain(
        arguments.recipe,
        arguments.output,
        root=arguments.root,
        overrides=arguments.overrides,
        cache=arguments.cache,
    )
    print(arguments.parser.in_flags("\n".join(made.lines())))
    return 0
