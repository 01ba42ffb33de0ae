"""Pretrain the embedded phone recogniser from manifests of transcribed speech.

A run that was stopped goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse

from kws.cli.options import add_option
from kws.cli.parser import RECIPE

HELP = "transcribed speech to the embedded encoder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws pretrain``."""
    parser.add_argument(
        "recipe", type=RECIPE, metavar="RECIPE", help="YAML recipe, such as kws/recipes/embedded.yaml"
    )
    add_option(parser, "--output", "the folder gets checkpoints, log, weights and metrics", required=True)
    add_option(parser, "--root")
    add_option(parser, "--cache", "115 MB an hour (default: OUTPUT/cache)")
    add_option(parser, "--set", "such as steps=200")


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
