"""Audio of any rate, width and number of channels as the 16 kHz mono float32 that detectors take."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.channels import Mixer
from kws.pipe import PipeFormat
from kws.resampling import Resampler
from kws.serve.messages import MessageError

LEAST_RATE_HZ, MOST_RATE_HZ = 1_000, 384_000
MOST_CHANNELS = 32
WIDTHS = (1, 2, 3, 4)
"""Bytes of one sample: integers, those of one byte without a sign, as WAV has them."""

COMMON_RATE_HZ = 25
"""Without soxr a rate must be a multiple of this, as all usual ones are: the filter table of another would
take hundreds of megabytes."""

SLICE_S = 0.25
"""Audio that is heard in one go, in seconds: after that it is another client's turn."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How a client's samples are stored."""

    rate_hz: int
    sample_bytes: int
    num_channels: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.sample_bytes * self.num_channels

    def seconds(self, num_bytes: int) -> float:
        """Return how long so many bytes sound."""
        return num_bytes / (self.frame_bytes * self.rate_hz)

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes in pieces of ``SLICE_S`` at most."""
        step = max(int(SLICE_S * self.rate_hz), 1) * self.frame_bytes
        for start in range(0, len(data), step):
            yield data[start : start + step]


def read_format(data: dict[str, Any]) -> PcmFormat:
    """Return what ``audio-start`` and ``audio-chunk`` say of the samples.

    Raises:
        MessageError: a value is missing or is no form of audio that is heard here.
    """
    bounds = {
        "rate": (LEAST_RATE_HZ, MOST_RATE_HZ),
        "width": (WIDTHS[0], WIDTHS[-1]),
        "channels": (1, MOST_CHANNELS),
    }
    values = []
    for name, (least, most) in bounds.items():
        value = data.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            told = value if isinstance(value, (int, float)) else type(value).__name__
            raise MessageError(f"`{name}`: got {told}, expected {least} to {most}", kind="format")
        values.append(value)
    found = PcmFormat(*values)
    if math.gcd(found.rate_hz, SAMPLE_RATE) < COMMON_RATE_HZ and not _has_soxr():
        raise MessageError(
            f"`rate`: got {found.rate_hz} Hz, expected a multiple of {COMMON_RATE_HZ} Hz where soxr is not "
            'installed: `pip install "kws[serve]"`',
            kind="format",
        )
    return found


@cache
def _has_soxr() -> bool:
    return importlib.util.find_spec("soxr") is not None


class PcmConverter:
    """Converts one client's stream piece by piece; any cut gives the same samples.

    Args:
        form: of the bytes that are pushed.
    """

    def __init__(self, form: PcmFormat) -> None:
        self.form = form
        self._decoder = PipeFormat(form.rate_hz, form.num_channels, form.sample_bytes)
        self._mixer = Mixer(None, form.rate_hz)
        self._resampler = Resampler(form.rate_hz, SAMPLE_RATE)
        self._rest = b""  # shorter than a frame

    def push(self, data: bytes, last: bool = False) -> np.ndarray:
        """Return what can be said so far; with ``last`` all the rest.

        Args:
            data: bytes of samples, also a part of one at the end.
            last: nothing follows.
        Returns:
            (samples,) float32 at ``SAMPLE_RATE`` in [-1, 1].
        """
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % self.form.frame_bytes
        self._rest = data[whole:]
        waveform = self._resampler.push(self._mixer.push(self._decoder.decode(data[:whole])), last)
        clipped: np.ndarray = np.clip(waveform, -1.0, 1.0)
        return clipped
