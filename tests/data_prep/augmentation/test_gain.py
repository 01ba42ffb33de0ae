"""Gain in decibels, to an active level, with clipping."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.augmentation import ChangeGain, stable_rng
from data_prep.augmentation.levels import active_rms


def test_relative_gain(clip: np.ndarray) -> None:
    before = clip.copy()
    softer = ChangeGain().apply(clip, {"level_db": -20.0})
    np.testing.assert_allclose(softer, clip / 10, rtol=1e-5)
    assert np.array_equal(clip, before)


def test_gain_clips_at_full_scale(clip: np.ndarray) -> None:
    louder = ChangeGain(level_db=(20.0, 20.0))(clip, stable_rng(0))
    assert (louder.min(), louder.max()) == (-1.0, 1.0)


def test_full_scale_reference_sets_the_active_level(clip: np.ndarray) -> None:
    changed = ChangeGain(level_db=(-30.0, -30.0), reference="full_scale")(clip, stable_rng(0))
    assert 20 * np.log10(active_rms(changed)) == pytest.approx(-30.0, abs=0.01)


def test_silence_stays_silence() -> None:
    silence = np.zeros(4000, np.float32)
    assert not ChangeGain(level_db=(-30.0, -30.0), reference="full_scale")(silence, stable_rng(0)).any()
