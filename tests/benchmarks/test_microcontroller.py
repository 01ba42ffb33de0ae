"""`benchmarks/microcontroller.py`: rows of its two tables."""

from __future__ import annotations

from benchmarks.microcontroller import MADE_HEADS, MISSED_HEADS, made_row, missed_rows

HEARD = {
    "missed": {
        "clean": {"0.5": [10, 100], "1.0": [5, 100], "2.0": [1, 100]},
        "noise": {"0.5": [20, 100], "1.0": [15, 100], "2.0": [11, 100]},
    },
    "missed_there": {"clean": [4, 100], "noise": [9, 100]},
    "false_accepts": 9,
    "threshold": 0.7,
}
ENTRY = {
    "keyword": "computer",
    "source": "typed",
    "detector_s": 20,
    "student_s": 400,
    "bytes": 55_100,
    "arena_bytes": 24_710,
    "multiply_adds": 32_576,
    "largest_difference": 0,
    "detections": [7, 7],
    "test_hours": 6.0,
    "onnx": HEARD,
    "micro": HEARD | {"false_accepts": 3},
}


def test_both_models_of_a_cell_have_a_row():
    first, second = missed_rows(ENTRY)
    assert len(first) == len(MISSED_HEADS)
    assert first[2:] == ["10.0 / 20.0", "5.0 / 15.0", "1.0 / 11.0", "4.0 / 9.0", "1.50"]
    assert second[0] == "computer, typed" and second[-1] == "0.50"


def test_the_second_table_says_what_was_made():
    cells = made_row(ENTRY)
    assert len(cells) == len(MADE_HEADS)
    assert cells[1:5] == ["20 s + 400 s", "55.1 kB", "24.7 kB", "32,576"]
    assert cells[5:] == ["0 of 256", "7 and 7"]
