"""The table of thresholds: rates, their geometric mean and spread, and misses, by number of copies."""

from __future__ import annotations

from typing import Any

from benchmarks.thresholds import summary


def row(copies: int, false_accepts: int, missed: int) -> dict[str, Any]:
    return {
        "copies": copies,
        "dev_hours": 0.75 * (1 + copies),
        "false_accepts": false_accepts,
        "test_hours": 4.0,
        "missed": {"clean": [missed, 200], "noise": [2 * missed, 200]},
    }


def test_rates_are_averaged_by_their_logarithms():
    found = [row(0, 16, 2), row(0, 4, 4), row(3, 0, 10), row(3, 4, 10)]
    assert list(summary(found)) == [
        ["0", "0.75", "1.0 to 4.0", "2.00", "2.0", "1.5 / 3.0"],
        # no event in four hours counts as 0.1 per hour
        ["3", "3.00", "0.0 to 1.0", "0.32", "3.2", "5.0 / 10.0"],
    ]
