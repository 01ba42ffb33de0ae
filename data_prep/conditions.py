"""Test audio in the conditions that models are compared in: as it is, in noise, in a room, at another speed.

Every draw follows from names alone, so that all models hear the same. ``kws.workflows.protocol_audio`` calls
it for `kws study`, `kws eval` and the benchmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.augmentation import (
    AddNoise,
    Chain,
    ChangeSpeed,
    NoiseBank,
    RoomBank,
    SimulatedRoom,
    stable_rng,
)
from data_prep.augmentation.base import Transform
from kws import audio
from kws.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ConditionConfig:
    """What is done to a recording; nothing by default."""

    snr_db: float | None = None
    """Noise recordings are added at this ratio to the active speech (dB); None adds none."""
    babble: bool = False
    """The noise is babble: 3 to 8 voices of the negatives at once, in place of recordings of noise."""
    room: bool = False
    """The recording is played in a room, simulated or recorded, before the noise."""
    speed: float = 0.0
    """The speed changes by up to this share, such as 0.15; 0 keeps it."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.snr_db is not None and not -40 <= self.snr_db <= 100:
            raise ConfigError(f"condition.snr_db: got {self.snr_db:g}, allowed: -40 to 100")
        if self.babble and self.snr_db is None:
            raise ConfigError("condition.babble: needs `snr_db`, the ratio at which it is added")
        if not 0 <= self.speed <= 0.5:
            raise ConfigError(f"condition.speed: got {self.speed:g}, allowed: 0 to 0.5")


def condition_chain(
    config: ConditionConfig, noise: NoiseBank | None, rooms: RoomBank, voices: NoiseBank | None = None
) -> Chain:
    """Return the transforms of a condition.

    Args:
        config: what is done.
        noise: recordings to mix in; None where the condition needs none.
        rooms: where a room is wanted, one of these.
        voices: speech that babble is mixed from; None where the condition needs none.
    Raises:
        ConfigError: noise or babble is wanted and none was given.
    """
    transforms: list[Transform] = []
    if config.speed:
        transforms.append(ChangeSpeed(factor=(1 - config.speed, 1 + config.speed), probability=1.0))
    if config.room:
        transforms.append(SimulatedRoom(rooms=rooms, probability=1.0))
    if config.snr_db is not None:
        ratio = (config.snr_db, config.snr_db)
        if config.babble:
            if voices is None:
                raise ConfigError("condition: babble is wanted and no speech is given; name recordings")
            transforms.append(AddNoise(snr_db=ratio, probability=1.0, speech=voices, babble_share=1.0))
        elif noise is None:
            raise ConfigError(
                f"condition: noise at {config.snr_db:g} dB is wanted and no noise is given; name recordings"
            )
        else:
            transforms.append(AddNoise(snr_db=ratio, probability=1.0, bank=noise, colored_share=0.0))
    return Chain(tuple(transforms))


def render(
    waveform: np.ndarray, chain: Chain, *key: str | int, lead_samples: int = 0, tail_samples: int = 0
) -> np.ndarray:
    """Return a recording in a condition, int16; the same key always draws the same noise and room.

    Args:
        waveform: (samples,) float32.
        chain: from :func:`condition_chain`.
        key: what the draws follow from.
        lead_samples: heard before the recording, in the same room and noise.
        tail_samples: heard after it.
    """
    params = chain.draw(stable_rng(*key))
    around = (lead_samples, tail_samples)
    for transform, drawn in zip(chain.transforms, params, strict=True):
        if not isinstance(transform, ChangeSpeed):  # the recording alone changes its length
            waveform, around = np.pad(waveform, around), (0, 0)
        waveform = transform.apply(waveform, drawn)
    return audio.to_int16(np.pad(waveform, around))


def draw(num_recordings: int, count: int | None, keyword: str, seed: int) -> list[int]:
    """Choose training recordings of a keyword at random, whoever spoke them; more of them hold all fewer.

    Args:
        num_recordings: how many there are.
        count: how many are wanted; None is all.
        keyword: which word.
        seed: another seed, another draw.
    Returns:
        Ascending indices.
    """
    order = stable_rng("benchmark positives", keyword, seed).permutation(num_recordings)
    return sorted(int(index) for index in order[:count])
