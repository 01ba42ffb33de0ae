"""Speed change by resampling: tempo and pitch move together, as if another person spoke faster and higher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from data_prep.augmentation.base import (
    Params,
    Transform,
    check_probability,
    check_range,
    chosen,
    uniform,
)
from kws import audio
from kws.audio import SAMPLE_RATE

RATE_STEP_HZ = SAMPLE_RATE // 100
"""Speeds are multiples of 1 %, so that the resampler gets a ratio of small numbers."""


@dataclass(frozen=True, slots=True)
class ChangeSpeed(Transform):
    """Play at another speed; the length becomes the input's divided by the drawn ``factor``."""

    name: ClassVar[str] = "change_speed"

    factor: tuple[float, ...] = (0.9, 1.1)
    """Slowest and fastest speed (1 is unchanged), drawn evenly and rounded to 1 %."""

    probability: float = 0.5
    """Share of samples whose speed is changed."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_range("change_speed.factor", self.factor, 0.5, 2.0)
        check_probability("change_speed.probability", self.probability)

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the factor."""
        if not chosen(rng, self.probability):
            return {}
        return {"factor": round(uniform(rng, self.factor), 2)}

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Resample; times in the labels are divided by ``factor`` too."""
        if not params:
            return waveform
        return audio.resample(waveform, round(params["factor"] * SAMPLE_RATE / RATE_STEP_HZ) * RATE_STEP_HZ)
