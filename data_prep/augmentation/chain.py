"""Transforms in a row, drawn from the item and the epoch only; loaders call :meth:`Chain.augment`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.augmentation.band import LimitBand
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.base import Params, Transform
from data_prep.augmentation.codec import ApplyCodec
from data_prep.augmentation.gain import ChangeGain
from data_prep.augmentation.noise import AddNoise
from data_prep.augmentation.room import RoomBank, SimulatedRoom
from data_prep.augmentation.seeding import stable_rng
from data_prep.augmentation.speed import ChangeSpeed
from kws.audio import to_float32
from kws.errors import AudioError, ConfigError


@dataclass(frozen=True, slots=True)
class Chain:
    """Transforms applied in order, then a clip at ±1."""

    transforms: tuple[Transform, ...]
    """Physical order: speed, room, noise, gain, band and codec."""

    def __post_init__(self) -> None:
        """Accept any sequence of transforms."""
        object.__setattr__(self, "transforms", tuple(self.transforms))

    def draw(self, rng: np.random.Generator) -> list[Params]:
        """Draw the parameters of every transform, in order."""
        return [transform.draw(rng) for transform in self.transforms]

    def apply(self, waveform: np.ndarray, params: list[Params]) -> np.ndarray:
        """Apply drawn parameters.

        Args:
            waveform: (samples,) int16 or float32; never written to.
            params: one entry per transform, from :meth:`draw`.
        Returns:
            (samples,) float32 in [-1, 1]; only speed and offset change the length.
        Raises:
            AudioError: the waveform is empty, not one-dimensional or not finite.
            ConfigError: the parameters belong to another chain.
        """
        waveform = to_float32(waveform)
        if waveform.size == 0:
            raise AudioError(
                "augmentation: the waveform holds no samples; remove the item from the manifest", kind="empty"
            )
        if len(params) != len(self.transforms):
            raise ConfigError(
                f"augmentation: got parameters of {len(params)} transforms for a chain of "
                f"{len(self.transforms)}; draw them from this chain"
            )
        for transform, drawn in zip(self.transforms, params, strict=True):
            waveform = transform.apply(waveform, drawn)
        clipped: np.ndarray = np.clip(waveform, -1.0, 1.0)
        return clipped

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw and apply."""
        return self.apply(waveform, self.draw(rng))

    def augment(self, waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        """Augment one item; the same item, seed and epoch give the same bits in any order, worker or run.

        Args:
            waveform: (samples,) int16 or float32.
            item_id: what names the clip in its manifest; not a machine's path.
            seed: of the training run.
            epoch: counts passes over the data, so that each pass hears another version.
        Returns:
            (samples,) float32 in [-1, 1].
        """
        return self(waveform, stable_rng(seed, "augment", item_id, epoch))


def default_chain(
    noise: NoiseBank | None = None,
    rooms: RoomBank | None = None,
    *,
    speech: NoiseBank | None = None,
    babble: float = 0.2,
    strength: float = 1.0,
    seed: int = 0,
) -> Chain:
    """Return the usual chain, for keyword training and for CTC pretraining alike.

    At strength 1: speed ±10 % for half of the samples, a room for half, noise at 0 to 25 dB for 70 %,
    gain -20 to +3 dB for all, a narrower band for 10 % and a codec for 10 %. Strength scales the shares and
    the speed and gain ranges; 0 leaves every sample as it is.

    Args:
        noise: recordings; None adds noise made in their place (:mod:`data_prep.augmentation.made_noise`).
        rooms: None simulates the default training rooms at first use (needs pyroomacoustics).
        speech: recordings of other people, for babble; None adds none.
        babble: share of the noises that is babble, where ``speech`` is given.
        strength: 0 to 1.4.
        seed: of made and coloured noise.
    Raises:
        ConfigError: strength is out of range.
    """
    if not 0.0 <= strength <= 1.4:
        raise ConfigError(
            f"augmentation.strength: got {strength}, allowed 0 (nothing) to 1.4; 1 is the usual one"
        )
    return Chain(
        (
            ChangeSpeed(factor=(1 - 0.1 * strength, 1 + 0.1 * strength), probability=0.5 * strength),
            SimulatedRoom(rooms=rooms or RoomBank(), probability=0.5 * strength),
            AddNoise(
                snr_db=(0.0, 25.0),
                probability=0.7 * strength,
                bank=noise,
                speech=speech,
                babble_share=babble,
                seed=seed,
            ),
            ChangeGain(level_db=(-20.0 * strength, 3.0 * strength)),
            LimitBand(probability=0.1 * strength),
            ApplyCodec(probability=0.1 * strength),
        )
    )
