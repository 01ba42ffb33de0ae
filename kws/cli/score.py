"""Let a model hear hours of recordings, and write down what fires where.

AUDIO is files and folders of any format. OUTPUT gets detections.jsonl and detections.csv (path, keyword,
time_s, score), summary.json, and hits.jsonl: the sound around each detection, ready for
`kws train --negatives`. A stopped call goes on where it was.
"""

from __future__ import annotations

import argparse
import sys

from kws.cli.listen import parse_by_keyword, parse_thresholds
from kws.cli.options import add_option
from kws.cli.parser import MODEL, Input
from kws.counts import counted

HELP = "what fires in hours of recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws score``."""
    parser.add_argument(
        "model", type=MODEL, metavar="MODEL", help="exported .onnx, or the folder of `kws train`"
    )
    parser.add_argument(
        "audio",
        nargs="+",
        type=Input("audio files or folders of them"),
        metavar="AUDIO",
        help="recordings, and folders that are searched for them",
    )
    add_option(parser, "--output", "the folder gets detections, hits and a summary", required=True)
    add_option(parser, "--threshold", "without it, the thresholds in the file")
    add_option(
        parser,
        "--refractory",
        "KEYWORD=SECONDS sets it for one; may be repeated; without it, the one in the file",
        action="append",
    )
    add_option(parser, "--patience")
    parser.add_argument(
        "--scores",
        choices=("jsonl", "parquet"),
        help="also write the score of every frame, 25 a second, into OUTPUT/scores",
    )
    add_option(parser, "--jobs", "groups of files at once, a process and a thread each", default=1)
    add_option(parser, "--dask", "which all see OUTPUT and the audio under the same paths")
    add_option(parser, "--overwrite", "of another model or other settings")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`score` and print what fired; 1 when something was not scored."""
    from kws.workflows.score import score

    summary = score(
        arguments.model,
        arguments.audio,
        arguments.output,
        threshold=parse_thresholds(arguments.threshold),
        refractory_s=parse_by_keyword("refractory", arguments.refractory_s),
        patience=arguments.patience,
        scores=arguments.scores,
        jobs=arguments.jobs,
        dask=arguments.dask,
        overwrite=arguments.overwrite,
        progress=sys.stderr.isatty(),
    )
    print(f"{counted(summary.num_files, 'file')}, {summary.hours:.2f} h of audio")
    for keyword, count in summary.counts.items():
        rate = f", {count / summary.hours:.2f} per hour" if summary.hours else ""
        print(f"  {keyword}: {counted(count, 'detection')}{rate}")
    for path, reason in summary.skipped.items():
        print(f"  left out: {reason if path in reason else f'{path}: {reason}'}")
    for failure in summary.failures:
        print(arguments.parser.in_flags(f"FAILED {failure}"))
    told = f"; if none of them is the keyword, train with them: {summary.hits}"
    print(f"{summary.detections}{told if any(summary.counts.values()) else ''}")
    return 1 if summary.failures or len(summary.skipped) == summary.num_files else 0
