"""Band limits of cheap microphones and of the telephone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy import signal

from data_prep.augmentation.base import (
    Params,
    Transform,
    check_probability,
    check_range,
    chosen,
    uniform,
)
from kws.audio import SAMPLE_RATE

TELEPHONE_HZ = (300.0, 3400.0)
"""Pass band of the narrow-band telephone, ITU-T G.712."""

CUTOFF_STEP_HZ = 100
"""Cut-offs are multiples of this, so that few filters are designed."""

NUM_TAPS = 255
"""Linear phase, 16 ms; band edges fall within 210 Hz. Odd: the delay is a whole number of samples."""


@lru_cache(maxsize=128)
def _band_filter(low_hz: float, high_hz: float) -> np.ndarray:
    """Return the taps, (NUM_TAPS,) float32, of a band-pass, or of a low-pass when ``low_hz`` is 0."""
    edges_hz = [low_hz, high_hz] if low_hz else high_hz
    taps: np.ndarray = signal.firwin(NUM_TAPS, edges_hz, fs=SAMPLE_RATE, pass_zero=not low_hz).astype(
        np.float32
    )
    return taps


@dataclass(frozen=True, slots=True)
class LimitBand(Transform):
    """Low-pass, or pass the telephone band only; the length stays."""

    name: ClassVar[str] = "limit_band"

    cutoff_hz: tuple[float, ...] = (3000.0, 7000.0)
    """Lowest and highest cut-off (-6 dB, Hz) of the low-pass, drawn evenly and rounded to 100 Hz."""

    telephone_share: float = 0.5
    """Share of the telephone band among the changed samples; the others get a low-pass."""

    probability: float = 0.1
    """Share of samples that are changed."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_range("limit_band.cutoff_hz", self.cutoff_hz, 500.0, SAMPLE_RATE / 2 - CUTOFF_STEP_HZ)
        check_probability("limit_band.telephone_share", self.telephone_share)
        check_probability("limit_band.probability", self.probability)

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the band."""
        if not chosen(rng, self.probability):
            return {}
        if chosen(rng, self.telephone_share):
            return {"band": "telephone"}
        return {
            "band": "low_pass",
            "cutoff_hz": round(uniform(rng, self.cutoff_hz) / CUTOFF_STEP_HZ) * CUTOFF_STEP_HZ,
        }

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Filter; a recursive filter takes ten times as long, held up by denormals in digital silence."""
        if not params:
            return waveform
        low_hz, high_hz = TELEPHONE_HZ if params["band"] == "telephone" else (0.0, params["cutoff_hz"])
        filtered: np.ndarray = signal.oaconvolve(waveform, _band_filter(low_hz, high_hz))
        return filtered[NUM_TAPS // 2 : NUM_TAPS // 2 + waveform.size]
