"""Another sample rate, for whole recordings and for streams: soxr where it is installed, else numpy alone.

Called by ``kws.audio`` only. Imports numpy; a device needs nothing else for a recording at another rate.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

ZERO_CROSSINGS = 48
"""Zero crossings of the filter on either side, at the lower of the two rates: with the window below aliases
are 100 dB down and the pass band ends at 0.87 of the lower rate's Nyquist frequency (soxr's ends at 0.91)."""

KAISER_BETA = 9.5
"""Shape of the Kaiser window over the filter."""

OUTPUTS_AT_ONCE = 4096
"""Samples made in one step of numpy, which takes about 10 MB."""


class Resampler:
    """Resamples a stream that comes in pieces: any cut gives the same samples as the whole at once.

    With soxr these are the samples of ``librosa.resample(res_type="soxr_hq")``.

    Args:
        source_hz: samples per second of what is pushed.
        target_hz: samples per second of what comes back.
    """

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self._source_hz, self._target_hz = source_hz, target_hz
        self._num_in = self._num_out = 0
        self._stream: Any = None if source_hz == target_hz else _stream(source_hz, target_hz)

    def push(self, waveform: np.ndarray, last: bool = False) -> np.ndarray:
        """Return what can be said so far; with ``last`` all the rest.

        Args:
            waveform: (samples,) float32 at the source rate, of any length.
            last: nothing follows.
        Returns:
            (samples,) float32 at the target rate; in all ``ceil(samples * target_hz / source_hz)``.
        """
        if self._stream is None:
            return waveform
        made: np.ndarray = self._stream.resample_chunk(np.ascontiguousarray(waveform, np.float32), last=last)
        self._num_in += len(waveform)
        self._num_out += len(made)
        if last:
            missing = -(-self._num_in * self._target_hz // self._source_hz) - self._num_out
            made = made[: len(made) + missing] if missing < 0 else np.pad(made, (0, missing))
        return made


def _stream(source_hz: int, target_hz: int) -> Any:
    """Return an object with soxr's ``resample_chunk``."""
    try:
        import soxr
    except ImportError:
        return SincStream(source_hz, target_hz)
    return soxr.ResampleStream(source_hz, target_hz, 1, dtype="float32", quality="soxr_hq")


class SincStream:
    """Band-limited interpolation with a windowed sinc; takes the place of ``soxr.ResampleStream``.

    Source: J. O. Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/.
    """

    def __init__(self, source_hz: int, target_hz: int) -> None:
        common = math.gcd(source_hz, target_hz)
        self._up, self._down = target_hz // common, source_hz // common
        self._taps = filter_table(source_hz, target_hz)  # (phase, tap)
        self._half = self._taps.shape[1] // 2
        self._waiting = np.zeros(self._half - 1, np.float32)  # input that outputs to come still need
        self._first = 0  # index of its first sample; the silence before the start is counted
        self._num_in = self._num_out = 0

    def resample_chunk(self, waveform: np.ndarray, last: bool = False) -> np.ndarray:
        """Return (samples,) float32 that all of their input is known of; with ``last`` silence follows."""
        self._num_in += len(waveform)
        silence = np.zeros(self._half + 1 if last else 0, np.float32)
        self._waiting = np.concatenate([self._waiting, waveform, silence])
        complete = (
            self._first + len(self._waiting) - 2 * self._half
        )  # last window that is complete begins here
        stop = (
            -(-self._num_in * self._up // self._down)
            if last
            else max(self._num_out, -(-(complete + 1) * self._up // self._down))
        )
        made = np.empty(stop - self._num_out, np.float32)
        for start in range(0, len(made), OUTPUTS_AT_ONCE):
            part = made[start : start + OUTPUTS_AT_ONCE]
            part[:] = self._interpolated(self._num_out + start, len(part))
        self._num_out = stop
        used = min(stop * self._down // self._up - self._first, len(self._waiting))
        self._waiting = self._waiting[used:].copy()
        self._first += used
        return made

    def _interpolated(self, start: int, count: int) -> np.ndarray:
        """Return outputs ``start`` to ``start + count``."""
        places = (start + np.arange(count, dtype=np.int64)) * self._down
        windows = np.lib.stride_tricks.sliding_window_view(self._waiting, 2 * self._half)
        chosen = windows[places // self._up - self._first]  # (output, tap)
        made: np.ndarray = np.einsum("ot,ot->o", chosen, self._taps[places % self._up])
        return made


@functools.lru_cache(maxsize=4)
def filter_table(source_hz: int, target_hz: int) -> np.ndarray:
    """Return the taps of each place between two samples, (phase, tap) float32; each row sums to one."""
    scale = min(1.0, target_hz / source_hz)
    half = math.ceil(ZERO_CROSSINGS / scale)
    rejection_db = KAISER_BETA / 0.1102 + 8.7  # Kaiser's formulas for a window of this shape
    transition = (rejection_db - 7.95) / (14.36 * 2 * half)  # in cycles per sample of the source
    cutoff = scale / 2 - transition / 2  # so that nothing passes above the lower Nyquist frequency
    phases = target_hz // math.gcd(source_hz, target_hz)
    places = np.arange(1 - half, half + 1) - np.arange(phases)[:, None] / phases
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (places / half) ** 2, 0, None)))
    taps = np.sinc(2 * cutoff * places) * window
    bank: np.ndarray = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return bank
