"""Compare encoders by what keyword detectors on them miss.

    python benchmarks/keywords.py --data DATA --work WORK --choices \
        --only 50-late-0 50-early-0 10-head-0-synthetic=0
    python benchmarks/encoder_choices.py [--add NAME]

``--add`` keeps the finished rows of these cells under the name of the encoder that they were measured with,
in ``benchmarks/results/encoder_choices.jsonl``. Prints the mean miss rate at 1 FA/h over two keywords and
three conditions, for each encoder and kind of cell, as a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from benchmarks.keywords import RESULTS, finished  # noqa: E402
from kws.audio import atomic_write  # noqa: E402

CHOICES = RESULTS / "encoder_choices.jsonl"
KINDS = ((10, "head", "synthetic=0"), (50, "early", ""), (50, "late", ""))
"""Recordings, policy and change; ten recordings without synthetic voices, as the first encoders had them."""


def kind(row: dict) -> tuple[int | None, str, str]:
    """Return what :data:`KINDS` holds for a row."""
    return row["count"], row["policy"], row["change"]


def add(name: str) -> None:
    """Keep the compared cells of the benchmark under the name of their encoder."""
    rows = [json.loads(line) for line in CHOICES.read_text(encoding="utf-8").splitlines()]
    known = {(row["encoder"], row["cell"]) for row in rows}
    for row in (finished("keywords") | finished("choices")).values():
        if row["seed"] == 0 and kind(row) in KINDS and (name, row["cell"]) not in known:
            rows.append({"encoder": name, **row})
    with atomic_write(CHOICES) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def mean_miss_rate(rows: list[dict]) -> str:
    """Return the mean miss rate at 1 FA/h in percent over keywords and conditions, or ``not run``."""
    rates = [missed / clips for row in rows for missed, clips in (c["1.0"] for c in row["misses"].values())]
    return f"{100 * mean(rates):.1f}" if rates else "not run"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--add", metavar="NAME", help="keep the benchmark's rows under this encoder's name")
    arguments = parser.parse_args()
    if arguments.add:
        add(arguments.add)
    rows = [json.loads(line) for line in CHOICES.read_text(encoding="utf-8").splitlines()]
    print(
        "| encoder | "
        + " | ".join(f"{count} recordings, `{policy}` (%)" for count, policy, _ in KINDS)
        + " |"
    )
    print("|---|" + "---|" * len(KINDS))
    for encoder in dict.fromkeys(row["encoder"] for row in rows):
        values = [
            mean_miss_rate([row for row in rows if row["encoder"] == encoder and kind(row) == wanted])
            for wanted in KINDS
        ]
        print(f"| {encoder} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
