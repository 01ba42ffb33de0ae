"""Measure a model on recordings: misses, false accepts per hour and latency, with a report.

MODEL is an exported .onnx or the folder of `kws train`. Positives and negatives are folders, manifests or
audio files. Of recordings with a split, those of --split count. False accepts need hours: 30 h of negatives
show 0.1 per hour.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from kws.cli.options import add_option
from kws.cli.parser import MODEL, Input
from kws.counts import counted

if TYPE_CHECKING:
    from kws.evaluation.result import EvaluationResult, OperatingResult


PROTOCOL = Input("a YAML file of a test protocol, such as `kws study` writes")
HELP = "misses, false accepts per hour and latency of a model, with a report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws eval``."""
    parser.add_argument(
        "model",
        type=MODEL,
        metavar="MODEL",
        help="exported .onnx, the .json of a microWakeWord model, or the folder of `kws train`",
    )
    add_option(parser, "--positives", "may be repeated", required=True)
    add_option(parser, "--negatives", required=True)
    add_option(parser, "--noise", "for the conditions of the protocol, and among the negatives")
    add_option(parser, "--rooms", "others than in training")
    add_option(parser, "--keyword", "judge this one only; without it, all of the model")
    add_option(
        parser,
        "--split",
        "recordings of it count, and those that name none",
        choices=("train", "dev", "test", "all"),
        default="test",
    )
    add_option(
        parser, "--output", "the folder gets report.html and evaluation.json; without it, beside the model"
    )
    add_option(
        parser,
        "--false-accepts-per-hour",
        "misses are reported at each",
        nargs="+",
        default=[0.1, 0.5, 1.0],
    )
    parser.add_argument(
        "--protocol",
        type=PROTOCOL,
        metavar="FILE",
        help="YAML: how it is tested, such as protocol.yaml of a study (default: each key's own)",
    )
    add_option(parser, "--set", "of the protocol, such as lead_s=1")
    add_option(parser, "--seed", "noise and rooms (default: the protocol's)", default=None)
    add_option(parser, "--overwrite", "an earlier report")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`evaluate` and print the result as a table."""
    from kws.workflows.evaluate import default_output, evaluate

    output = arguments.output or default_output(arguments.model)
    pairs = [*arguments.overrides]
    if arguments.seed is not None:
        pairs.append(f"seed={arguments.seed}")
    result = evaluate(
        arguments.model,
        arguments.positives,
        arguments.negatives,
        output,
        noise=arguments.noise,
        rooms=arguments.rooms,
        keyword=arguments.keyword,
        split=arguments.split,
        false_accepts_per_hour=arguments.false_accepts_per_hour,
        protocol=arguments.protocol,
        overrides=pairs,
        overwrite=arguments.overwrite,
        progress=sys.stderr.isatty(),
        command=shlex.join(["kws", *sys.argv[1:]]),
    )
    print(arguments.parser.in_flags("\n".join(table(result))))
    print(f"\nreport: {output / 'report.html'}")
    return 0


def table(result: EvaluationResult) -> list[str]:
    """Return the result as lines of text."""
    lines = [
        f"{result.model}: {result.negative_hours:.3g} h of negatives "
        f"({counted(result.num_negatives, 'recording')}, "
        f"{counted(result.num_negative_originals, 'original')})"
    ]
    if result.num_left_out:
        lines.append(f"{counted(result.num_left_out, 'recording')} left out: label or text holds the keyword")
    lines += [f"note: {note}" for note in result.notes()]
    lines.append(f"protocol {result.protocol.told()}")
    for keyword in result.keywords:
        lines += [
            "",
            f"{keyword.keyword}: {counted(keyword.num_positives, 'clip')}, "
            f"{counted(keyword.num_speakers, 'known speaker')}",
        ]
        lines += [f"note: {note}" for note in keyword.notes()]
        rows = [
            [
                "operating point",
                "threshold",
                "missed",
                "miss rate [95 %]",
                "false accepts",
                "latency p50 / p95",
            ]
        ]
        rows += [_row(entry) for entry in keyword.operating]
        lines += _columns(rows)
        if keyword.operating[0].groups:
            rows = [["misses at", *(entry.name for entry in keyword.operating)]]
            for index, group in enumerate(keyword.operating[0].groups):
                name = group.value if group.field == "condition" else f"{group.field} {group.value}"
                rates = [str(entry.groups[index].misses) for entry in keyword.operating]
                rows.append([f"{name} ({group.misses.trials})", *rates])
            lines += ["", *_columns(rows)]
        if any(entry.speakers for entry in keyword.operating):
            rows = [["by speaker, at", *(entry.name for entry in keyword.operating)]]
            for name, field in (("mean speaker", "mean"), ("worst tenth", "worst")):
                rates = [f"{100 * getattr(entry.speakers, field):.1f} %" for entry in keyword.operating]
                rows.append([name, *rates])
            lines += ["", *_columns(rows)]
        lines += [f"note, {entry.name}: {entry.note}" for entry in keyword.operating if entry.note]
    return lines


def _row(entry: OperatingResult) -> list[str]:
    accepts = entry.false_accepts
    delay = entry.latency
    return [
        entry.name,
        f"{entry.threshold:.4f}",
        f"{entry.misses.events}/{entry.misses.trials}",
        str(entry.misses),
        f"{accepts.events} in {accepts.hours:.3g} h: {accepts}",
        "-" if delay is None else f"{1000 * delay.p50_s:.0f} / {1000 * delay.p95_s:.0f} ms",
    ]


def _columns(rows: list[list[str]]) -> list[str]:
    """Align cells."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
