"""Lossy codecs that recordings may have gone through: G.711 mu-law at 8 kHz, Ogg Vorbis, Ogg Opus."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import soundfile

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
from kws.errors import ConfigError, DependencyError

CODECS = ("mu_law", "vorbis", "opus")
TELEPHONE_RATE_HZ = 8000
WRITE_SAMPLES = 2**16
"""libsndfile's Vorbis encoder overflows its stack on long writes, so it gets pieces."""


@lru_cache(maxsize=1)
def mu_law_table() -> np.ndarray:
    """Return what each int16 sample becomes after G.711 mu-law coding and decoding.

    Returns:
        (65536,) float32 in [-1, 1]; index 0 is sample -32768.
    Source: ITU-T G.711 in its 16-bit form: bias 132, clip 32635, 8 segments of 16 steps.
    """
    samples = np.arange(-32768, 32768)
    biased = np.minimum(np.abs(samples), 32635) + 132
    segment = np.floor(np.log2(biased)).astype(np.int64) - 7
    step = (biased >> (segment + 3)) & 0x0F
    decoded = (((step << 3) + 132) << segment) - 132
    table: np.ndarray = (np.sign(samples) * decoded / 32768.0).astype(np.float32)
    return table


@dataclass(frozen=True, slots=True)
class ApplyCodec(Transform):
    """Encode and decode; the length and the timing stay."""

    name: ClassVar[str] = "apply_codec"

    codecs: tuple[str, ...] = ("mu_law", "vorbis")
    """Codecs to choose from: mu_law, vorbis, opus (mean cost for 3 s: 1, 9 and 50 ms)."""

    compression: tuple[float, ...] = (0.5, 1.0)
    """Least and strongest compression of Vorbis and Opus, in libsndfile's scale 0 to 1."""

    probability: float = 0.1
    """Share of samples that are changed."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if not self.codecs or set(self.codecs) - set(CODECS):
            raise ConfigError(
                f"apply_codec.codecs: got {list(self.codecs)}, allowed one or more of {', '.join(CODECS)}"
            )
        check_range("apply_codec.compression", self.compression, 0.0, 1.0)
        check_probability("apply_codec.probability", self.probability)

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the codec and its compression."""
        if not chosen(rng, self.probability):
            return {}
        codec = self.codecs[int(rng.integers(len(self.codecs)))]
        return (
            {"codec": codec}
            if codec == "mu_law"
            else {"codec": codec, "compression": uniform(rng, self.compression)}
        )

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Send the waveform through the drawn codec."""
        if not params:
            return waveform
        if params["codec"] == "mu_law":
            narrow = audio.resample(waveform, SAMPLE_RATE, TELEPHONE_RATE_HZ)
            decoded = mu_law_table()[audio.to_int16(narrow).astype(np.int32) + 32768]
            coded = audio.resample(decoded, TELEPHONE_RATE_HZ, SAMPLE_RATE)
        else:
            coded = _through_ogg(np.clip(waveform, -1.0, 1.0), params["codec"].upper(), params["compression"])
        if coded.size < waveform.size:
            return np.pad(coded, (0, waveform.size - coded.size))
        return coded[: waveform.size]


def _through_ogg(waveform: np.ndarray, subtype: str, compression: float) -> np.ndarray:
    """Encode to Ogg in memory and decode."""
    if subtype not in soundfile.available_subtypes("OGG"):
        raise DependencyError(
            f"apply_codec: libsndfile {soundfile.__libsndfile_version__} has no Ogg {subtype.title()}; "
            "`pip install --upgrade soundfile`, which brings a newer one"
        )
    memory = io.BytesIO()
    with soundfile.SoundFile(
        memory, "w", SAMPLE_RATE, 1, subtype=subtype, format="OGG", compression_level=compression
    ) as file:
        for start in range(0, waveform.size, WRITE_SAMPLES):
            file.write(waveform[start : start + WRITE_SAMPLES])
    memory.seek(0)
    decoded: np.ndarray
    decoded, _ = soundfile.read(memory, dtype="float32")
    return decoded
