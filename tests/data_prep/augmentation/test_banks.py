"""Noise banks and looping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.augmentation import NoiseBank
from data_prep.augmentation.banks import looped_segment
from kws.errors import ConfigError


@pytest.mark.parametrize(
    ("position", "num_samples", "expected"),
    [
        (0.2, 3, [1, 2, 3]),
        (0.6, 4, [3, 4, 0, 1]),
        (0.8, 12, [4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]),
        (0.0, 5, [0, 1, 2, 3, 4]),
        (0.999, 0, []),
    ],
)
def test_looped_segment_repeats_the_recording(position: float, num_samples: int, expected: list[int]) -> None:
    assert looped_segment(np.arange(5, dtype=np.float32), position, num_samples).tolist() == expected


def test_recordings_are_read_in_order_and_once(bank: NoiseBank) -> None:
    assert [path.stem for path in bank.paths] == ["long", "short"]
    assert [recording.size for recording in bank.recordings] == [48_000, 11_200]
    assert bank.clips[0] is bank.clips[0] and bank.clips[0].dtype == np.int16
    assert bank.recordings[0].dtype == np.float32


def test_max_length_is_kept(bank: NoiseBank) -> None:
    short = NoiseBank(bank.paths, max_length_s=0.5)
    assert [recording.size for recording in short.recordings] == [8_000, 8_000]


def test_empty_banks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got no paths"):
        NoiseBank(())
    with pytest.raises(ConfigError, match="max_length_s is 0"):
        NoiseBank((tmp_path / "a.wav",), max_length_s=0.0)
