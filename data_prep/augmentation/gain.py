"""Loudness: a change in decibels, or a wanted active level; the result is clipped as a converter would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from data_prep.augmentation.base import (
    Params,
    Transform,
    check_probability,
    check_range,
    chosen,
    uniform,
)
from data_prep.augmentation.levels import active_rms, db_to_gain


@dataclass(frozen=True, slots=True)
class ChangeGain(Transform):
    """Make a clip louder or softer, and clip it at ±1; the length stays."""

    name: ClassVar[str] = "change_gain"

    level_db: tuple[float, ...] = (-20.0, 3.0)
    """Smallest and largest level (dB), drawn evenly; what it is relative to is in ``reference``."""

    reference: Literal["input", "full_scale"] = "input"
    """``input``: change the level by that much; ``full_scale``: bring the active level to that many dBFS."""

    probability: float = 1.0
    """Share of samples whose level is changed."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_range("change_gain.level_db", self.level_db, -90.0, 40.0 if self.reference == "input" else 0.0)
        check_probability("change_gain.probability", self.probability)

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the level."""
        if not chosen(rng, self.probability):
            return {}
        return {"level_db": uniform(rng, self.level_db)}

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Scale and clip; a clip without speech has no level to bring anywhere and stays as it is."""
        if not params:
            return waveform
        gain = db_to_gain(params["level_db"])
        if self.reference == "full_scale":
            level = active_rms(waveform)
            if level == 0.0:
                return waveform
            gain /= level
        scaled = waveform * np.float32(gain)
        return np.clip(scaled, -1.0, 1.0, out=scaled)
