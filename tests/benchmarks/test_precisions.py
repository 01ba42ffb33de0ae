"""`benchmarks/precisions.py`: cells are paired by name, and their difference is worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.precisions import differences, mean_difference, pairs, rows


def cell(name: str, clean: int, noise: int) -> dict[str, Any]:
    found = {"clean": clean, "noise": noise}
    readings = {k: {"1": {"missed": list(range(count)), "clips": 10}} for k, count in found.items()}
    return {"cell": name, "num_recordings": int(name.split("-")[1]), "readings": readings}


def test_cells_of_both_precisions_are_held_against_each_other():
    single = [cell("a-10-x-0", 2, 4), cell("b-10-x-0", 1, 1), cell("a-50-x-0", 0, 3)]
    half = [cell("a-50-x-0", 0, 1), cell("c-50-x-0", 9, 9), cell("b-10-x-0", 1, 3), cell("a-10-x-0", 0, 2)]
    found = list(pairs(single, half))
    assert [(one["cell"], other["cell"]) for one, other in found] == [(row["cell"],) * 2 for row in single]
    assert list(rows(found)) == [
        ["10", "2", "15.0 / 25.0", "5.0 / 25.0"],
        ["50", "1", "0.0 / 30.0", "0.0 / 10.0"],
    ]
    apart = differences(found)
    assert apart == pytest.approx([20, -10, 10])
    # deviation 15.28, times 4.303 / sqrt(3)
    assert mean_difference(apart) == pytest.approx((6.667, -31.28, 44.61), abs=0.01)
