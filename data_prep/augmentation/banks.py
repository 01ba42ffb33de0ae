"""Recordings held in memory for mixing (noise, other speech); loaded once and shared by their users."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kws import audio
from kws.errors import AudioError, ConfigError


@dataclass(frozen=True)
class NoiseBank:
    """Noise (or speech) recordings, read at first use and kept as float32 (230 MB an hour).

    Give the same object to every transform that uses it; touch ``recordings`` before loader workers fork, so
    that they share the memory. Train, dev and test take banks of disjoint files.
    """

    paths: tuple[Path, ...]
    """Audio files that ``kws.audio.load`` reads; draws are of their order."""

    max_length_s: float | None = None
    """Seconds kept of each file, from its start; None keeps all."""

    def __post_init__(self) -> None:
        """Check that there is something to mix."""
        object.__setattr__(self, "paths", tuple(Path(path) for path in self.paths))
        if not self.paths:
            raise ConfigError(
                "noise bank: got no paths; name at least one audio file, or give no bank: noise is made then"
            )
        if self.max_length_s is not None and self.max_length_s <= 0:
            raise ConfigError(
                f"noise bank: max_length_s is {self.max_length_s}, allowed above 0; leave it out to keep all"
            )

    @classmethod
    def of_readable(cls, paths: Iterable[Path]) -> tuple[NoiseBank, list[str]]:
        """Read recordings now, and leave out those that cannot be read.

        Returns:
            The bank, and what is wrong with each file that is left out.
        Raises:
            ConfigError: none can be read.
        """
        read: list[tuple[Path, np.ndarray]] = []
        left_out = []
        for path in paths:
            try:
                read.append((path, audio.load(path)))
            except AudioError as error:
                left_out.append(str(error))
        if not read:
            raise ConfigError(
                f"noise: none of {len(left_out)} recordings can be read; the first: {left_out[0]}"
            )
        bank = cls(tuple(path for path, _ in read))
        bank.__dict__["recordings"] = tuple(waveform for _, waveform in read)  # the cached property below
        return bank, left_out

    def digest(self) -> str:
        """Return a hash of the samples, in order."""
        content = hashlib.sha256()
        for waveform in self.recordings:
            content.update(zlib.crc32(waveform.data).to_bytes(4, "big"))
        return content.hexdigest()

    @cached_property
    def recordings(self) -> tuple[np.ndarray, ...]:
        """The waveforms, each (samples,) float32, in the order of ``paths``."""
        return tuple(audio.load(path, length_s=self.max_length_s) for path in self.paths)

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.paths)


def looped_segment(recording: np.ndarray, position: float, num_samples: int) -> np.ndarray:
    """Cut a segment out of a recording that is repeated without end.

    Args:
        recording: (samples,) float32, not empty.
        position: start as a share of the recording's length, in [0, 1).
        num_samples: length of the segment.
    Returns:
        (num_samples,) float32; a view where no repeat is needed, so it must not be written to.
    """
    start = int(position * recording.size)
    stop = start + num_samples
    if stop <= recording.size:
        return recording[start:stop]
    if num_samples <= recording.size:
        return np.concatenate((recording[start:], recording[: stop - recording.size]))
    return np.tile(recording, -(-stop // recording.size))[start:stop]
