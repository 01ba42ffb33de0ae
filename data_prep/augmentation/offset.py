"""Place in time: a clip at a random place of a window of fixed length, over silence or other sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from data_prep.augmentation.banks import NoiseBank, looped_segment
from data_prep.augmentation.base import Params, Transform, check_range, register, uniform
from data_prep.augmentation.levels import active_rms, db_to_gain
from kws.audio import seconds_to_samples
from kws.errors import ConfigError


@register
@dataclass(frozen=True, slots=True)
class PlaceInWindow(Transform):
    """Put a clip into a window; one that is longer than the window is cut to a random part of it."""

    name: ClassVar[str] = "place_in_window"

    window_s: float = 3.0
    """Length of every result (s)."""

    background: NoiseBank | None = None
    """What else is heard; None leaves silence."""

    mode: Literal["around", "under"] = "around"
    """``around``: background (speech, say) before and after the clip; ``under``: in the whole window."""

    level_db: tuple[float, ...] = (-6.0, 3.0)
    """Lowest and highest active level of the background relative to the clip's (dB), drawn evenly."""

    crossfade_s: float = 0.01
    """Length of the fades where clip and background meet (s); they lie inside the clip."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0.05 <= self.window_s <= 600.0:
            raise ConfigError(f"place_in_window.window_s: got {self.window_s}, allowed 0.05 to 600 s")
        if not 0.0 <= self.crossfade_s <= 0.5:
            raise ConfigError(f"place_in_window.crossfade_s: got {self.crossfade_s}, allowed 0 to 0.5 s")
        check_range("place_in_window.level_db", self.level_db, -100.0, 40.0)

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the place and, with a background, the part of it and its level."""
        params: Params = {"place": float(rng.random())}
        if self.background is not None:
            params |= {
                "recording": int(rng.integers(len(self.background))),
                "position": float(rng.random()),
                "level_db": uniform(rng, self.level_db),
            }
        return params

    def start_samples(self, params: Params, num_samples: int) -> int:
        """Return where sample 0 of a clip of ``num_samples`` comes to lie; negative: its start is cut."""
        room = seconds_to_samples(self.window_s) - num_samples
        start = int(params["place"] * (abs(room) + 1))
        return start if room >= 0 else -start

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Place the clip; without speech in it the background keeps its recorded level."""
        if not params:
            return waveform
        window = np.zeros(seconds_to_samples(self.window_s), dtype=np.float32)
        start = self.start_samples(params, waveform.size)
        if start < 0 or waveform.size > window.size:
            return waveform[-start : -start + window.size]
        clip = window[start : start + waveform.size]
        clip[:] = waveform
        if self.background is None or "recording" not in params:
            return window
        sound = looped_segment(
            self.background.recordings[params["recording"]], params["position"], window.size
        )
        sound_level, clip_level = active_rms(sound), active_rms(waveform)
        gain = (
            db_to_gain(params["level_db"]) * clip_level / sound_level
            if sound_level > 0.0 and clip_level > 0.0
            else 1.0
        )
        sound = sound * np.float32(gain)
        if self.mode == "around":
            share = self._clip_share(start, waveform.size, window.size)
            window *= np.sqrt(share)
            sound *= np.sqrt(1.0 - share)
        window += sound
        return window

    def _clip_share(self, start: int, length: int, window_length: int) -> np.ndarray:
        """Return the clip's share of power at each sample, (window_length,) float32: 1 in it, 0 outside."""
        share = np.zeros(window_length, dtype=np.float32)
        share[start : start + length] = 1.0
        fade_length = min(seconds_to_samples(self.crossfade_s), length // 2)
        fade = (np.arange(fade_length, dtype=np.float32) + 0.5) / max(fade_length, 1)
        if start > 0:
            share[start : start + fade_length] = fade
        if start + length < window_length:
            share[start + length - fade_length : start + length] = fade[::-1]
        return share
