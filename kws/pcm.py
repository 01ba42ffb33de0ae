"""Samples of audio as numbers: their rate, how they become seconds, integers and floats; needs numpy alone.

:mod:`kws.audio` offers the same names beside files. :mod:`kws.detector` takes them from here, so that a
program which has its own source of audio loads no library that reads files.
"""

from __future__ import annotations

import math

import numpy as np

from kws.errors import AudioError

SAMPLE_RATE = 16_000
"""Samples per second of every waveform inside the project (Hz)."""

INT16_SCALE = 32_768.0
INT16_STEP = np.float32(1 / INT16_SCALE)  # a power of two: multiplying is as exact as dividing
INT16 = np.dtype(np.int16)

FLOAT_PEAK_MAX = INT16_SCALE * 10 ** (-60 / 20)
"""Largest magnitude that floats of audio in [-1, 1] may have: 33, or 30 dB above full scale, which no mix
reaches by overshoot. Floats in the range of int16 exceed it once they are louder than 60 dB below full scale,
under which a recording is silent."""


def seconds_to_samples(seconds: float) -> int:
    """Return the nearest whole number of samples in ``seconds``."""
    return round(seconds * SAMPLE_RATE)


def samples_to_seconds(samples: int) -> float:
    """Return the length of ``samples`` in seconds."""
    return samples / SAMPLE_RATE


def to_float32(pcm: np.ndarray) -> np.ndarray:
    """Turn one-dimensional int16 or float PCM into float32 in [-1, 1].

    Args:
        pcm: (samples,) int16, float32 or float64.
    Returns:
        (samples,) float32; what overshoots full scale a little stays as it is.
    Raises:
        AudioError: bytes, another type or shape, a value that is not finite, or floats that are no audio in
            [-1, 1], such as 16-bit integers that were turned into floats.
    """
    if isinstance(pcm, np.ndarray) and pcm.dtype == INT16 and pcm.ndim == 1:  # what a sound card gives
        return _scaled(pcm)
    if isinstance(pcm, (bytes, bytearray)) or (isinstance(pcm, memoryview) and pcm.format in "cbB"):
        raise AudioError(
            f"audio is {type(pcm).__name__}, expected an array of samples; of 16-bit samples: "
            "`np.frombuffer(data, np.int16)`",
            kind="form",
        )
    pcm = np.asarray(pcm)
    if pcm.ndim != 1:
        raise AudioError(
            f"audio has shape {pcm.shape}, expected one dimension (mono); average or pick a channel first",
            kind="form",
        )
    if pcm.dtype == INT16:
        return _scaled(pcm)
    if pcm.dtype not in (np.float32, np.float64):
        raise AudioError(
            f"audio has type {pcm.dtype}, expected int16 or float32 in [-1, 1]; convert it first", kind="form"
        )
    peak = peak_of(pcm)
    if not math.isfinite(peak):
        raise AudioError(
            "audio holds NaN or infinite values; check the microphone driver or the file", kind="nonfinite"
        )
    if peak > FLOAT_PEAK_MAX:
        raise AudioError(
            f"float audio reaches {peak:.5g}, expected [-1, 1]; give 16-bit integers as they are "
            f"(`np.frombuffer(data, np.int16)`), or divide them by {INT16_SCALE:.0f}",
            kind="range",
        )
    return pcm.astype(np.float32, copy=False)


def _scaled(pcm: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = np.multiply(pcm, INT16_STEP, dtype=np.float32)
    return scaled


def peak_of(waveform: np.ndarray) -> float:
    """Return the largest magnitude, 0 of no samples; NaN or infinite where a sample is."""
    return float(np.maximum(waveform.max(), -waveform.min())) if waveform.size else 0.0


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Turn float32 in [-1, 1] into int16, clipping what overshoots."""
    return np.clip(np.rint(waveform * INT16_SCALE), -32768, 32767).astype(np.int16)
