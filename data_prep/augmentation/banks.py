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
    """Noise (or speech) recordings, read at first use and kept as int16 (115 MB an hour).

    Give the same object to every transform that uses it; touch ``clips`` before loader workers fork, so
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
                read.append((path, audio.to_int16(audio.load(path))))
            except AudioError as error:
                left_out.append(str(error))
        if not read:
            raise ConfigError(
                f"noise: none of {len(left_out)} recordings can be read; the first: {left_out[0]}"
            )
        return cls.of_clips(read), left_out

    @classmethod
    def of_clips(cls, clips: Iterable[tuple[Path, np.ndarray]]) -> NoiseBank:
        """Return a bank of recordings that were read before: path and (samples,) int16 of each."""
        given = tuple(clips)
        bank = cls(tuple(path for path, _ in given))
        bank.__dict__["clips"] = tuple(clip for _, clip in given)  # the cached property below
        return bank

    def digest(self) -> str:
        """Return a hash of the samples, in order."""
        content = hashlib.sha256()
        for clip in self.clips:
            content.update(zlib.crc32(clip.data).to_bytes(4, "big"))
        return content.hexdigest()

    @cached_property
    def clips(self) -> tuple[np.ndarray, ...]:
        """The recordings, each (samples,) int16, in the order of ``paths``."""
        return tuple(audio.to_int16(audio.load(path, length_s=self.max_length_s)) for path in self.paths)

    @property
    def recordings(self) -> tuple[np.ndarray, ...]:
        """The recordings, each (samples,) float32, made at each call."""
        return tuple(map(audio.to_float32, self.clips))

    def segment(self, index: int, position: float, num_samples: int) -> np.ndarray:
        """Return (num_samples,) float32 of a recording, as :func:`looped_segment` cuts it out."""
        return audio.to_float32(looped_segment(self.clips[index], position, num_samples))

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.paths)


def looped_segment(recording: np.ndarray, position: float, num_samples: int) -> np.ndarray:
    """Cut a segment out of a recording that is repeated without end.

    Args:
        recording: (samples,) of any type, not empty.
        position: start as a share of the recording's length, in [0, 1).
        num_samples: length of the segment.
    Returns:
        (num_samples,) of its type; a view where no repeat is needed, so it must not be written to.
    """
    start = int(position * recording.size)
    stop = start + num_samples
    if stop <= recording.size:
        return recording[start:stop]
    if num_samples <= recording.size:
        return np.concatenate((recording[start:], recording[: stop - recording.size]))
    return np.tile(recording, -(-stop // recording.size))[start:stop]
