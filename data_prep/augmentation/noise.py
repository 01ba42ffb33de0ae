"""Noise at a signal-to-noise ratio: recorded, made in its place, coloured, or babble of other speech."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy import fft

from data_prep.augmentation.banks import NoiseBank, looped_segment
from data_prep.augmentation.base import (
    Params,
    Transform,
    check_probability,
    check_range,
    chosen,
    uniform,
)
from data_prep.augmentation.levels import active_rms, db_to_gain, rms
from data_prep.augmentation.made_noise import NUM_NOISES, made_noises
from data_prep.augmentation.seeding import stable_rng
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError

COLOR_EXPONENTS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""Power falls with frequency to this exponent."""

COLORED_SAMPLES = 2**19
"""32.8 s of each colour are made once; segments start anywhere, as its end meets its start without a step."""

LOWEST_NOISE_HZ = 20.0
"""Power stays level below this: nobody hears it, and it would take all of brown noise's energy."""


@lru_cache(maxsize=16)
def colored_noise(color: str, seed: int) -> np.ndarray:
    """Make periodic noise of one colour.

    Args:
        color: a key of ``COLOR_EXPONENTS``.
        seed: train, dev and test take different ones.
    Returns:
        (COLOURED_SAMPLES,) float32 with an RMS of 0.1, read-only.
    """
    white = stable_rng(seed, "coloured noise", color).standard_normal(COLORED_SAMPLES, dtype=np.float32)
    frequencies_hz = np.maximum(fft.rfftfreq(COLORED_SAMPLES, 1 / SAMPLE_RATE), LOWEST_NOISE_HZ)
    spectrum = fft.rfft(white) * (frequencies_hz ** (-COLOR_EXPONENTS[color] / 2)).astype(np.float32)
    noise: np.ndarray = fft.irfft(spectrum, COLORED_SAMPLES).astype(np.float32, copy=False)
    noise *= 0.1 / rms(noise)
    noise.setflags(write=False)
    return noise


@dataclass(frozen=True, slots=True)
class AddNoise(Transform):
    """Add noise at an SNR against the active speech level; the length stays, the result may exceed ±1."""

    name: ClassVar[str] = "add_noise"

    snr_db: tuple[float, ...] = (0.0, 25.0)
    """Smallest and largest ratio of active speech level to noise level (dB), drawn evenly."""

    probability: float = 0.7
    """Share of samples that get noise."""

    bank: NoiseBank | None = None
    """Noise recordings; None makes noise in their place."""

    speech: NoiseBank | None = None
    """Recordings of other people's speech that babble is made from; None makes none."""

    colored_share: float = 0.15
    """Share of coloured noise among the noises that are no babble."""

    babble_share: float = 0.2
    """Share of babble among the noises when speech is given."""

    babble_voices: tuple[int, ...] = (3, 8)
    """Smallest and largest number of voices in babble."""

    colors: tuple[str, ...] = ("white", "pink", "brown")
    """Colours to choose from."""

    silent_level_dbfs: tuple[float, ...] = (-60.0, -30.0)
    """Smallest and largest noise level (dBFS) for a clip without speech, where no SNR exists."""

    seed: int = 0
    """Seed of made and coloured noise; train, dev and test take different ones."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_range("add_noise.snr_db", self.snr_db, -40.0, 100.0)
        check_range("add_noise.silent_level_dbfs", self.silent_level_dbfs, -120.0, 0.0)
        check_range("add_noise.babble_voices", self.babble_voices, 1, 64)
        for field in ("probability", "colored_share", "babble_share"):
            check_probability(f"add_noise.{field}", getattr(self, field))
        unknown = [color for color in self.colors if color not in COLOR_EXPONENTS]
        if unknown or not self.colors:
            raise ConfigError(
                f"add_noise.colours: got {list(self.colors)}, allowed some of {', '.join(COLOR_EXPONENTS)}"
            )

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the kind of noise, its place in the recording, and its level."""
        if not chosen(rng, self.probability):
            return {}
        params: Params = {
            "snr_db": uniform(rng, self.snr_db),
            "silent_level_dbfs": uniform(rng, self.silent_level_dbfs),
        }
        kind = float(rng.random())
        if self.speech is not None and kind < self.babble_share:
            num_voices = int(rng.integers(self.babble_voices[0], self.babble_voices[1] + 1))
            return params | {
                "kind": "babble",
                "recordings": [int(index) for index in rng.integers(len(self.speech), size=num_voices)],
                "positions": [float(position) for position in rng.random(num_voices)],
            }
        if rng.random() >= self.colored_share:
            count = NUM_NOISES if self.bank is None else len(self.bank)
            return params | {
                "kind": "made" if self.bank is None else "recording",
                "recording": int(rng.integers(count)),
                "position": float(rng.random()),
            }
        return params | {
            "kind": "coloured",
            "colour": self.colors[int(rng.integers(len(self.colors)))],
            "position": float(rng.random()),
        }

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Add the drawn noise; a stretch of noise that is digital silence changes nothing."""
        if not params:
            return waveform
        noise = self._segment(waveform.size, params)
        noise_level = rms(noise)
        if noise_level == 0.0:
            return waveform
        speech_level = active_rms(waveform)
        if speech_level > 0.0:
            wanted_level = speech_level / db_to_gain(params["snr_db"])
        else:
            wanted_level = db_to_gain(params["silent_level_dbfs"])
        mixture = noise * np.float32(wanted_level / noise_level)
        mixture += waveform
        return mixture

    def _segment(self, num_samples: int, params: Params) -> np.ndarray:
        """Return the noise before scaling, (num_samples,) float32."""
        if params["kind"] == "coloured":
            return looped_segment(colored_noise(params["colour"], self.seed), params["position"], num_samples)
        if params["kind"] == "made":
            return looped_segment(
                made_noises(self.seed)[params["recording"]], params["position"], num_samples
            )
        bank = self.bank if params["kind"] == "recording" else self.speech
        if bank is None:
            raise ConfigError(
                f"add_noise: kind {params['kind']!r} needs the bank it was drawn with; got none, give it"
            )
        if params["kind"] == "recording":
            return bank.segment(params["recording"], params["position"], num_samples)
        babble = np.zeros(num_samples, dtype=np.float32)
        for index, position in zip(params["recordings"], params["positions"], strict=True):
            voice = bank.segment(index, position, num_samples)
            level = active_rms(voice)
            if level > 0.0:
                babble += voice * np.float32(0.1 / level)
        return babble
