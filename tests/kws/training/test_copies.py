"""Copies of other speech in noise and rooms: as many as show the wished rate, at least some."""

from __future__ import annotations

import numpy as np
import pytest

from kws.audio import SAMPLE_RATE, to_float32
from kws.training import copies
from kws.training.copies import augmented_copies, hours_text, num_copies
from tests.support.training import noise, store


@pytest.mark.parametrize(
    ("hours", "rate", "most", "expected"),
    [
        (0.7, 0.5, 3, 3),  # 6 h show 0.5 per hour: eight times as much would be needed
        (3.0, 0.5, 3, 1),
        (2.0, 0.5, 3, 2),
        (2.5, 0.5, 3, 2),
        (5.9, 0.5, 3, 1),
        (6.0, 0.5, 3, 1),
        (24.0, 0.5, 3, 0.25),  # a day shows the rate alone, and says nothing of noise: 6 h more do
        (1.5, 10.0, 3, 0.2),
        (0.7, 0.5, 0, 0),
        (24.0, 0.5, 0, 0),
        (0.0, 0.5, 3, 0),
    ],
)
def test_as_many_copies_are_read_as_show_the_rate(hours: float, rate: float, most: int, expected: float):
    assert num_copies(hours, rate, most) == pytest.approx(expected)


def told(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    """Say in the first three samples which row, seed and copy was asked for; the rest is as it was."""
    return np.concatenate([np.array([int(item_id), seed, epoch]) / 100, to_float32(waveform)[3:]])


@pytest.mark.parametrize(
    ("number", "rows"),
    [
        (2, [(row, copy) for copy in range(2) for row in range(5)]),
        (0.4, [(0, 0), (2, 0)]),
        (0.5, [(0, 0), (1, 0), (3, 0)]),
        (0.001, [(0, 0)]),
    ],
)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_rows_are_augmented_anew_in_each_copy_and_from_all_over_where_there_is_but_a_part(
    number: float, rows: list[tuple[int, int]], num_workers: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(copies, "ROW_S", 1.0)
    speech = store(noise(4.5))
    found = list(augmented_copies(speech, told, 7, number, num_workers))
    assert [number for number, _ in found] == [place for place, _ in rows]
    asked = [tuple(np.round(row[:3] / 327.67).astype(int)) for _, row in found]
    assert asked == [(place, 7, copy) for place, copy in rows]
    for place, row in found:
        whole = speech.samples[place * SAMPLE_RATE : (place + 1) * SAMPLE_RATE]
        assert row.dtype == np.int16 and len(row) == (8_000 if place == 4 else 16_000)
        np.testing.assert_allclose(row[3:], whole[3:], atol=1)


def test_hours_are_told_with_what_of_them_was_recorded_so():
    assert hours_text(1.86, 0) == "1.86 h"
    assert hours_text(2.84, 3) == "2.84 h (0.71 h as it is, the rest in noise and rooms)"
    assert hours_text(30.0, 0.25) == "30.00 h (24.00 h as it is, the rest in noise and rooms)"
