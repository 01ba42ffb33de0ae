"""Compare ways to train over numbers of recordings, keywords and seeds, beside training from scratch.

RECIPE is YAML, such as kws/recipes/study.yaml. Each cell is `kws train` or `kws enroll`, and then
`kws.Detector` on other people, noise and rooms. A finished cell is kept and not run again: the same command
goes on where it stopped, also with more choices. OUTPUT gets results.csv, summary.csv, summary.md,
misses.png, gains.png, behind.png, study.html and recommendation.yaml, which
`kws train --set train.transfer.auto_table=FILE` takes.
"""

from __future__ import annotations

import argparse
import shlex
import sys

from kws.cli.options import add_option
from kws.cli.parser import RECIPE

HELP = "compare ways to train, with a table, a plot and, where they tell, a recommendation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws study``."""
    add = parser.add_argument
    add("recipe", type=RECIPE, metavar="RECIPE", help="YAML recipe, such as kws/recipes/study.yaml")
    add_option(parser, "--output", "the folder gets finished cells, tables, plot and page", required=True)
    add_option(parser, "--root")
    add_option(parser, "--jobs", "cells of one thread each (default: one for each core)")
    add_option(parser, "--dask", "which all see OUTPUT and the audio")
    add(
        "--only",
        nargs="*",
        metavar="WORD",
        help="run only cells whose name holds one of these; * is anything",
    )
    add_option(parser, "--cache", "synthetic voices too (default: OUTPUT/cache)")
    add_option(parser, "--set", "such as seeds=[0]")
    add("--keep-runs", action="store_true", help="keep the folder of each training run, some megabytes each")
    add(
        "--against",
        nargs="+",
        metavar="CHOICE",
        default=[],
        help="also tell what each choice gains over these, clip by clip (against.md, and in the page)",
    )
    add(
        "--report",
        action="store_true",
        help="run nothing; tell what is finished, or in results.jsonl",
    )


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`study` and print what it found; 1 when a cell failed."""
    from kws.workflows.study import study

    summary = study(
        arguments.recipe,
        arguments.output,
        root=arguments.root,
        jobs=arguments.jobs,
        dask=arguments.dask,
        only=arguments.only,
        cache=arguments.cache,
        overrides=arguments.overrides,
        keep_runs=arguments.keep_runs,
        report=arguments.report,
        against=arguments.against,
        progress=sys.stderr.isatty(),
        command=shlex.join(["kws", *sys.argv[1:]]),
    )
    print(arguments.parser.in_flags("\n".join(summary.lines)))
    for failure in summary.failures:
        print(arguments.parser.in_flags(f"FAILED {failure}"))
    return 1 if summary.failures else 0
