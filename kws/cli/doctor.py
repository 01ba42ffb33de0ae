"""Say what an exported file is, whether it is sound, and what is unusual about it.

The file hears silence, noise and sound like speech. The exit code is 1 where something makes it unfit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

from kws.cli.options import add_option
from kws.cli.parser import MODEL

HELP = "what an exported file is, and whether it is sound"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws doctor``."""
    parser.add_argument(
        "model", type=MODEL, metavar="MODEL", help="exported .onnx, or the folder of `kws train`"
    )
    add_option(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`doctor` and print the report; 1 where the file is unfit."""
    from kws.workflows.doctor import doctor

    report = doctor(arguments.model)
    if arguments.json:
        print(json.dumps({**dataclasses.asdict(report), "sound": report.sound}, indent=2, ensure_ascii=False))
        return 0 if report.sound else 1
    facts = report.facts
    print(
        f"{facts['name']}  {facts['bytes'] / 1e6:.2f} MB, format {facts['format_version']}, "
        f"license {facts['license']}"
    )
    rate = facts["false_accepts_per_hour"]
    for keyword, threshold in facts["thresholds"].items():
        asked = f", chosen for {rate:g} false accepts per hour" if rate is not None else ""
        print(f"  {keyword}: threshold {threshold:.4f}{asked}")
        for row in report.operating.get(keyword, []):
            print(
                f"    {row['name']}: threshold {row['threshold']:.4f}, {row['missed']:.1%} missed, "
                f"{row['false_accepts_per_hour']:.2f} false accepts per hour"
            )
    print(
        f"  encoder {facts['encoder']}, made by {facts['created_by']}, training "
        f"{facts['config_hash'] or 'unknown'}; {facts['chunk_samples'] / 16:g} ms a push, "
        f"look-ahead {facts['lookahead_ms']:g} ms"
    )
    print(f"  {report.cpu_s_per_hour:.1f} s of processor time for an hour of audio on this machine")
    for note in report.notes:
        print(f"  note: {note}")
    for problem in report.problems:
        print(f"  PROBLEM: {problem}")
    if report.sound:
        print("  sound: it opens, runs, and hears nothing in silence, noise and sound like speech")
    return 0 if report.sound else 1
