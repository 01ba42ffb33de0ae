"""Synthetic signals for the augmentation tests: a clip that is mostly silence, and noise files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.augmentation import NoiseBank
from kws import audio
from kws.audio import SAMPLE_RATE


@pytest.fixture
def clip() -> np.ndarray:
    """Two seconds of digital silence, but for half a second of a 500 Hz sine of amplitude 0.2 from 1 s on."""
    waveform = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    waveform[SAMPLE_RATE : SAMPLE_RATE + time_s.size] = 0.2 * np.sin(2 * np.pi * 500 * time_s)
    return waveform


@pytest.fixture
def bank(tmp_path: Path) -> NoiseBank:
    """Two recordings: one of 0.7 s (shorter than the clip, so it is looped) and one of 3 s."""
    rng = np.random.default_rng(5)
    for name, seconds in (("short", 0.7), ("long", 3.0)):
        noise = rng.uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE)).astype(np.float32)
        audio.save(tmp_path / "noise" / f"{name}.wav", noise)
    return NoiseBank(tuple(sorted((tmp_path / "noise").iterdir())))
