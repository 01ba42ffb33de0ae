"""Band limits pass what they should and leave the timing alone."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.augmentation import LimitBand, stable_rng
from kws.audio import SAMPLE_RATE

TELEPHONE = {"band": "telephone"}
LOW_PASS = {"band": "low_pass", "cutoff_hz": 4000}


@pytest.mark.parametrize(
    ("params", "frequency_hz", "lowest_db", "highest_db"),
    [
        (TELEPHONE, 100, -200, -25),
        (TELEPHONE, 1000, -0.5, 0.5),
        (TELEPHONE, 3000, -0.5, 0.5),
        (TELEPHONE, 4000, -200, -40),
        (LOW_PASS, 100, -0.1, 0.1),
        (LOW_PASS, 3800, -0.5, 0.5),
        (LOW_PASS, 4000, -6.5, -5.5),
        (LOW_PASS, 4300, -200, -40),
    ],
)
def test_pass_band(params: dict, frequency_hz: int, lowest_db: float, highest_db: float) -> None:
    sine = np.sin(2 * np.pi * frequency_hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    middle = LimitBand().apply(sine, params)[4000:12000]
    assert lowest_db <= 10 * np.log10(2 * np.mean(middle**2) + 1e-20) <= highest_db


@pytest.mark.parametrize("params", [TELEPHONE, LOW_PASS])
def test_timing_and_length_stay(params: dict) -> None:
    impulse = np.zeros(2001, np.float32)
    impulse[1000] = 1.0
    filtered = LimitBand().apply(impulse, params)
    assert filtered.shape == (2001,) and filtered.dtype == np.float32
    assert int(np.abs(filtered).argmax()) == 1000
    np.testing.assert_allclose(filtered, filtered[::-1], atol=1e-6)


def test_short_clip() -> None:
    assert LimitBand(probability=1.0)(np.full(5, 0.1, np.float32), stable_rng(0)).shape == (5,)
