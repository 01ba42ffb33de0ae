"""Clips land where they should in a window of the right length."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.augmentation import NoiseBank, PlaceInWindow, stable_rng
from data_prep.augmentation.levels import active_rms
from kws.audio import SAMPLE_RATE


@pytest.mark.parametrize("num_samples", [1, 1000, 23_999, 24_000, 24_001, 40_000])
@pytest.mark.parametrize("place", [0.0, 0.4, 0.999999])
def test_clip_is_in_the_window_where_start_says(num_samples: int, place: float) -> None:
    transform = PlaceInWindow(window_s=1.5)
    waveform = np.random.default_rng(0).uniform(0.1, 1.0, num_samples).astype(np.float32)
    params = {"place": place}
    window = transform.apply(waveform, params)
    start = transform.start_samples(params, num_samples)
    assert window.shape == (24_000,)
    if num_samples <= 24_000:
        assert 0 <= start <= 24_000 - num_samples
        assert np.array_equal(window[start : start + num_samples], waveform)
        assert np.count_nonzero(window) == num_samples
    else:
        assert 24_000 - num_samples <= start <= 0
        assert np.array_equal(window, waveform[-start : -start + 24_000])


def test_every_place_is_reached() -> None:
    transform = PlaceInWindow(window_s=0.1)
    starts = {transform.start_samples(transform.draw(stable_rng(item)), 1597) for item in range(100)}
    assert starts == {0, 1, 2, 3}


def test_background_around_leaves_the_middle_of_the_clip_alone(clip: np.ndarray, bank: NoiseBank) -> None:
    transform = PlaceInWindow(window_s=4.0, background=bank, level_db=(-6.0, -6.0), crossfade_s=0.01)
    params = transform.draw(stable_rng(3)) | {"place": 0.5}
    window = transform.apply(clip, params)
    start = transform.start_samples(params, clip.size)
    inner = slice(start + 160, start + clip.size - 160)
    assert np.array_equal(window[inner], clip[160:-160])
    assert 20 * np.log10(active_rms(window[:start]) / active_rms(clip)) == pytest.approx(-6.0, abs=0.3)


def test_background_under_is_added_throughout(clip: np.ndarray, bank: NoiseBank) -> None:
    silent = PlaceInWindow(window_s=4.0)
    transform = PlaceInWindow(window_s=4.0, background=bank, mode="under", level_db=(-12.0, -12.0))
    params = transform.draw(stable_rng(3))
    added = transform.apply(clip, params) - silent.apply(clip, params)
    assert 20 * np.log10(active_rms(added) / active_rms(clip)) == pytest.approx(-12.0, abs=0.1)
    assert np.count_nonzero(np.abs(added) > 1e-6) > 0.95 * 4 * SAMPLE_RATE


def test_silent_clip_keeps_the_background_level(bank: NoiseBank) -> None:
    transform = PlaceInWindow(window_s=1.0, background=bank, mode="under")
    window = transform(np.zeros(8000, np.float32), stable_rng(0))
    assert active_rms(window) == pytest.approx(0.5 / np.sqrt(3), rel=0.05)
