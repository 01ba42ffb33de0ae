r"""Does a detector that was trained in 32 bit miss more than the same in bfloat16?

    kws study benchmarks/study.yaml --set 'settings.set={train.precision: 32-true}' --root MANIFESTS \
        --output STUDY --only '*-10-feature_matching-*' '*-50-feature_matching-*'
    python benchmarks/precisions.py

Pairs the cells that were trained so, ``benchmarks/results/study_32_bit.jsonl``, with those of the same name
in ``benchmarks/results/study.jsonl``. Prints misses at 1 false accept per hour of both, the mean
difference, with its 95 % interval over pairs by Student's t, and those of single pairs that lie widest apart.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the file can be called by its path

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from benchmarks.short_runs import percent, read, table  # noqa: E402

RATE = "1"
HEADS = ("recordings", "pairs", "32 bit", "bfloat16")

Row = Mapping[str, Any]


def counts(row: Row) -> np.ndarray:
    """Return (2, conditions): clips that a cell missed, and clips."""
    found = [rates[RATE] for rates in row["readings"].values()]
    return np.array([[len(reading["missed"]) for reading in found], [reading["clips"] for reading in found]])


def pairs(single: Sequence[Row], half: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Yield the cells of the same keyword, recordings, choice and seed, which make their name."""
    by_name = {row["cell"]: row for row in half}
    yield from ((row, by_name[row["cell"]]) for row in single)


def rows(found: Sequence[tuple[Row, Row]]) -> Iterator[list[str]]:
    """Yield a row of the table for each number of recordings."""
    for number in dict.fromkeys(one["num_recordings"] for one, _ in found):
        here = [pair for pair in found if pair[0]["num_recordings"] == number]
        missed = [sum(counts(pair[side]) for pair in here) for side in (0, 1)]
        shown = [" / ".join(percent(a / b) for a, b in zip(*total, strict=True)) for total in missed]
        yield [str(number), str(len(here)), *shown]


def differences(found: Sequence[tuple[Row, Row]]) -> np.ndarray:
    """Return (pairs,): how many points more are missed in 32 bit, the mean of the conditions."""
    rates = np.array([[np.divide(*counts(row)).mean() for row in pair] for pair in found])
    return 100 * (rates[:, 0] - rates[:, 1])


def mean_difference(apart: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of (pairs,) and its interval."""
    low, high = stats.t.interval(0.95, len(apart) - 1, apart.mean(), stats.sem(apart))
    return float(apart.mean()), float(low), float(high)


def main() -> None:
    """Print the table and the difference."""
    found = list(pairs(read("study_32_bit"), read("study")))
    print("\n".join(table(HEADS, rows(found))))
    apart = differences(found)
    mean, low, high = mean_difference(apart)
    print(f"32 bit misses {mean:+.1f} [{low:+.1f}, {high:+.1f}] points more over {len(found)} pairs")
    print(f"single pairs: {apart.min():+.1f} to {apart.max():+.1f} points")


if __name__ == "__main__":
    main()
