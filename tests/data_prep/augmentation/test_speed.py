"""Speed moves length and pitch together."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.augmentation import ChangeSpeed, stable_rng
from kws.audio import SAMPLE_RATE


@pytest.mark.parametrize("factor", [0.85, 0.9, 1.0, 1.07, 1.15])
def test_length_and_pitch(factor: float) -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    faster = ChangeSpeed().apply(sine, {"factor": factor})
    assert abs(faster.size - SAMPLE_RATE / factor) <= 1
    assert faster.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(faster[:8000]))  # 2 Hz a bin
    assert abs(2 * int(spectrum.argmax()) - 1000 * factor) <= 2


def test_draws_are_whole_percents_in_the_range() -> None:
    draws = [
        ChangeSpeed(factor=(0.9, 1.1), probability=1.0).draw(stable_rng(item))["factor"]
        for item in range(300)
    ]
    assert set(draws) == {round(0.9 + step / 100, 2) for step in range(21)}
