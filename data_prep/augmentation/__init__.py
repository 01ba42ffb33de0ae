"""On-the-fly waveform augmentation: one frozen dataclass transform a file, put together in ``chain``.

``default_chain(...).augment(waveform, item_id, seed, epoch)`` is what a loader calls. SpecAugment needs torch
and is imported from ``data_prep.augmentation.spec_augment``.
"""

from data_prep.augmentation.band import LimitBand
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.base import Transform
from data_prep.augmentation.chain import Chain, default_chain
from data_prep.augmentation.codec import ApplyCodec
from data_prep.augmentation.gain import ChangeGain
from data_prep.augmentation.noise import AddNoise
from data_prep.augmentation.room import RoomBank, SimulatedRoom
from data_prep.augmentation.seeding import stable_rng
from data_prep.augmentation.speed import ChangeSpeed

__all__ = [
    "AddNoise",
    "ApplyCodec",
    "Chain",
    "ChangeGain",
    "ChangeSpeed",
    "LimitBand",
    "NoiseBank",
    "RoomBank",
    "SimulatedRoom",
    "Transform",
    "default_chain",
    "stable_rng",
]
