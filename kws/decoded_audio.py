"""Samples of recordings, kept from the first time that they are decoded: what is checked is not read again.

A training run checks every recording before it learns from it. The check decodes it and keeps it here; the
stores of training, and all else that hears it, take it from here.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kws import audio
from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.manifest import Recording

LONG_S = 120.0
"""A recording from this length on is decoded in pieces: ten hours as float32 would not fit."""

Place = tuple[int, int]
"""First sample in the file, and number of samples."""


def decode(recording: Recording) -> np.ndarray:
    """Read a recording as it is, (samples,) int16."""
    if recording.length_s < LONG_S:
        return audio.to_int16(recording.load())
    held = bytearray()  # grows in place: pieces that are joined at the end would be held twice
    for piece in recording.pieces():
        held += audio.to_int16(piece).data
    return np.frombuffer(held, np.int16)


class DecodedAudio:
    """Samples of recordings in one file without a name, which is gone when the object is.

    Several threads may keep at once. A disk that takes no more keeps no more: the rest is decoded again.

    Args:
        folder: where the file lies; it takes 115 MB an hour of recordings.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
        self._lock = threading.Lock()
        self._end = 0
        self._places: dict[Path, list[tuple[int, int, bool, tuple[Place, ...]]]] = {}

    def append(self, samples: np.ndarray) -> Place | None:
        """Write (samples,) int16 of one piece; None: the disk takes no more."""
        with self._lock:
            start = self._end
            try:
                self._file.seek(start * samples.itemsize)
                written = self._file.write(np.ascontiguousarray(samples).data)
            except OSError:
                return None
            if written != samples.nbytes:
                return None
            self._end += len(samples)
        return start, len(samples)

    def keep(self, recording: Recording, places: Sequence[Place | None], num_samples: int) -> None:
        """Say which pieces, in order, are all of a recording.

        Args:
            recording: with the sample rate of its file.
            places: of its pieces, as :meth:`append` gave them.
            num_samples: in all.
        """
        kept = [place for place in places if place is not None]
        if len(kept) < len(places):
            return
        first = seconds_to_samples(recording.offset_s)
        exact = recording.sample_rate == SAMPLE_RATE  # a part is then its samples and no other
        with self._lock:
            self._places.setdefault(recording.path, []).append((first, num_samples, exact, tuple(kept)))

    def __contains__(self, recording: Recording) -> bool:
        return self._find(recording) is not None

    def clip(self, recording: Recording) -> np.ndarray:
        """Return (samples,) int16 of a recording, decoded now where it is not kept.

        Raises:
            AudioError: the file cannot be read.
        """
        found = self._find(recording)
        if found is None:
            return decode(recording)
        skipped, wanted, places = found
        samples = np.empty(wanted, np.int16)
        filled = 0
        for start, length in _within(places, skipped, wanted):
            self._read(start, samples[filled : filled + length])
            filled += length
        return samples

    def waveform(self, recording: Recording) -> np.ndarray:
        """Return (samples,) float32 of a recording; raises as :meth:`clip`."""
        return audio.to_float32(self.clip(recording))

    def _find(self, recording: Recording) -> tuple[int, int, tuple[Place, ...]] | None:
        """Return how many samples come before a recording, how many are its own, and the places of all."""
        if recording.duration_s is None:
            return None
        first, wanted = seconds_to_samples(recording.offset_s), seconds_to_samples(recording.duration_s)
        for start, length, exact, places in self._places.get(recording.path, ()):
            if (first, wanted) == (start, length):
                return 0, length, places
            if exact and start <= first and first + wanted <= start + length:
                return first - start, wanted, places
        return None

    def _read(self, start: int, samples: np.ndarray) -> None:
        """Fill (samples,) int16 from a place of the file."""
        view, filled = samples.data.cast("B"), 0
        with self._lock:
            self._file.seek(start * samples.itemsize)
            while filled < len(view):  # one call reads 2 GB at most
                filled += self._file.readinto(view[filled:])


def _within(places: Sequence[Place], skipped: int, wanted: int) -> list[Place]:
    """Return the parts of places that hold ``wanted`` samples after ``skipped`` ones."""
    found = []
    for start, length in places:
        begin, end = min(skipped, length), min(skipped + wanted, length)
        if end > begin:
            found.append((start + begin, end - begin))
        wanted -= end - begin
        skipped -= begin
    return found
