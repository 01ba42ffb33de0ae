"""Test audio in the conditions that models are compared in: as it is, in noise, in a room, at another speed.

Every draw follows from names alone, so that all models hear the same. Called by `kws study`, `kws eval` and
the benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

GAP_S = 0.5
"""Silence after each recording of speech in a stream of negatives (seconds)."""


@dataclass(frozen=True, slots=True)
class ConditionConfig:
    """What is done to a recording; nothing by default."""

    snr_db: float | None = None
    """Noise recordings are added at this ratio to the active speech (dB); None adds none."""
    room: bool = False
    """The recording is played in a simulated room, before the noise."""
    speed: float = 0.0
    """The speed changes by up to this share, such as 0.15; 0 keeps it."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.snr_db is not None and not -40 <= self.snr_db <= 100:
            raise ConfigError(f"condition.snr_db: got {self.snr_db:g}, allowed: -40 to 100")
        if not 0 <= self.speed <= 0.5:
            raise ConfigError(f"condition.speed: got {self.speed:g}, allowed: 0 to 0.5")


def condition_chain(config: ConditionConfig, noise: NoiseBank | None, rooms: RoomBank) -> Chain:
    """Return the transforms of a condition.

    Args:
        config: what is done.
        noise: recordings to mix in; None where the condition needs none.
        rooms: where a room is wanted, one of these.
    Raises:
        ConfigError: noise is wanted and none was given.
    """
    transforms: list[Transform] = []
    if config.speed:
        transforms.append(ChangeSpeed(factor=(1 - config.speed, 1 + config.speed), probability=1.0))
    if config.room:
        transforms.append(SimulatedRoom(rooms=rooms, probability=1.0))
    if config.snr_db is not None:
        if noise is None:
            raise ConfigError(
                f"condition: noise at {config.snr_db:g} dB is wanted and no noise is given; name recordings"
            )
        ratio = (config.snr_db, config.snr_db)
        transforms.append(AddNoise(snr_db=ratio, probability=1.0, bank=noise, colored_share=0.0))
    return Chain(tuple(transforms))


def render(waveform: np.ndarray, chain: Chain, *key: str | int) -> np.ndarray:
    """Return a recording in a condition, int16; the same key always draws the same noise and room."""
    return audio.to_int16(chain(waveform, stable_rng(*key)))


def negative_stream(
    speech: Iterable[tuple[str, np.ndarray]],
    noise: Iterable[np.ndarray],
    copies: Mapping[str, Chain],
    *key: str | int,
) -> tuple[np.ndarray, int]:
    """Join audio without the keyword: speech as it is, noise, then a changed copy of each of the speech.

    Args:
        speech: name and (samples,) float32 of each recording; silence follows each.
        noise: (samples,) float32 of each recording.
        copies: conditions by name, taken in turn; empty makes no copies.
        key: what the draws follow from, beside the name of condition and recording.
    Returns:
        The stream, (samples,) int16, and how many samples at its start are originals.
    """
    gap = np.zeros(audio.seconds_to_samples(GAP_S), np.int16)
    originals: list[np.ndarray] = []
    changed: list[np.ndarray] = []
    in_turn = list(copies.items())
    for number, (item, waveform) in enumerate(speech):
        originals += [audio.to_int16(waveform), gap]
        if in_turn:
            name, chain = in_turn[number % len(in_turn)]
            changed += [render(waveform, chain, *key, name, item), gap]
    originals += [audio.to_int16(waveform) for waveform in noise]
    stream = np.concatenate([np.zeros(0, np.int16), *originals, *changed])
    return stream, sum(map(len, originals))


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
