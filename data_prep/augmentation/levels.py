"""How loud a waveform is where somebody speaks: clips hold much silence, so the plain RMS misleads."""

from __future__ import annotations

import numpy as np

from kws.audio import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms, about one or two pitch periods of a low voice."""

ACTIVE_BELOW_PEAK = 1e-3
"""A frame is active within 30 dB of the loudest one: about the span from open vowels to weak fricatives."""

SILENT_POWER = 1e-8
"""Frames under -80 dBFS are silence whatever the loudest is; 16-bit rounding noise lies at -101 dBFS."""


def rms(waveform: np.ndarray) -> float:
    """Return the root mean square over all samples, 0 for none."""
    return float(np.sqrt(np.dot(waveform, waveform) / waveform.size)) if waveform.size else 0.0


def active_rms(waveform: np.ndarray) -> float:
    """Return the root mean square over the active 20 ms frames, 0 when there is none.

    Args:
        waveform: (samples,) float32; a rest shorter than a frame counts only when there is no whole frame.
    """
    whole = waveform.size // FRAME_SAMPLES * FRAME_SAMPLES
    if whole == 0:
        level = rms(waveform)
        return level if level**2 >= SILENT_POWER else 0.0
    frames = waveform[:whole].reshape(-1, FRAME_SAMPLES)
    power = np.einsum("fs,fs->f", frames, frames) / FRAME_SAMPLES
    active = power[power >= max(float(power.max()) * ACTIVE_BELOW_PEAK, SILENT_POWER)]
    return float(np.sqrt(active.mean(dtype=np.float64))) if active.size else 0.0


def db_to_gain(level_db: float) -> float:
    """Return the amplitude factor of a level in decibels."""
    return float(10.0 ** (level_db / 20.0))
