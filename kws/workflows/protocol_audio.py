"""The audio of a test: noise and rooms of a protocol, for `kws eval`, `kws study` and all benchmarks."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from data_prep.augmentation import Chain
    from kws.evaluation.heard import Change, HeardAudio
    from kws.evaluation.protocol import TestProtocol
    from kws.manifest import Recording

NOISE_SECONDS = 120.0
"""Mixed in of each noise recording, in seconds: bounds memory."""


def open_audio(
    protocol: TestProtocol,
    noise: Sequence[Recording],
    rooms: Sequence[Path] = (),
    speech: Sequence[Recording] = (),
) -> HeardAudio:
    """Return what makes the audio of a test.

    Args:
        protocol: of the test.
        noise: recordings for the conditions, which are part of the negatives too.
        rooms: folders or manifests of recorded room impulse responses; none simulates rooms.
        speech: without any keyword; babble is mixed from it where a condition wants some.
    Raises:
        ConfigError: a condition has an unknown key or value, or needs noise where none is given.
    """
    from data_prep.augmentation import NoiseBank, RoomBank
    from data_prep.augmentation.babble import voices_of
    from data_prep.conditions import ConditionConfig, condition_chain
    from data_prep.rooms import read_rooms
    from kws.config import load_config
    from kws.decoded_audio import decode
    from kws.evaluation.heard import HeardAudio

    bank = NoiseBank(tuple(recording.path for recording in noise), NOISE_SECONDS) if noise else None
    recorded = read_rooms(rooms, ("train", "dev"))
    used_rooms = recorded or RoomBank(num_rooms=protocol.num_rooms, split="test", seed=protocol.seed)
    voices = voices_of(speech, decode) if protocol.needs_babble() else None

    def changes(conditions: Mapping[str, Any], where: str) -> dict[str, Change]:
        chains = {
            name: condition_chain(
                load_config(ConditionConfig, values or {}, f"protocol.{where}.{name}"),
                bank,
                used_rooms,
                voices,
            )
            for name, values in conditions.items()
        }
        return {
            name: functools.partial(_change, chain, ("test", protocol.seed, name))
            for name, chain in chains.items()
        }

    return HeardAudio(
        protocol, changes(protocol.conditions, "conditions"), changes(protocol.copies, "copies"), noise
    )


def _change(
    chain: Chain,
    key: tuple[str | int, ...],
    waveform: np.ndarray,
    item_id: str,
    lead_samples: int,
    tail_samples: int,
) -> np.ndarray:
    """Return a recording in a condition; a ``kws.evaluation.heard.Change``."""
    from data_prep.conditions import render

    return render(waveform, chain, *key, item_id, lead_samples=lead_samples, tail_samples=tail_samples)
