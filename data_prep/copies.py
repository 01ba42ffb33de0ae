"""The same audio given twice: recordings found again by their file or by their samples.

A recording of the keyword that lies among the negatives as well teaches a detector to stay silent where it
should fire; one that was trained on makes an evaluation too good. ``kws.workflows`` looks for both here.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_prep.checks import CheckResult
from data_prep.measurements import measure
from kws import audio
from kws.errors import AudioError
from kws.manifest import Recording

SAMPLES = "samples_hash"
"""Column of a manifest with the hash of a recording's samples."""
TOUCHING_S = 0.02
"""Stretches of a file that share no more than this are different recordings: manifests round lengths."""
SAME_LENGTH_S = 0.02
"""Only recordings whose lengths differ by no more than this are compared by their samples."""

FileId = tuple[int, int] | str
"""Device and number of a file, or its path where there is none."""


class KnownRecordings:
    """Recordings that others are compared with.

    Args:
        recordings: any number; those with :data:`SAMPLES` are not read again.
    """

    def __init__(self, recordings: Iterable[Recording] = ()) -> None:
        self._stretches: dict[FileId, list[tuple[float, float]]] = defaultdict(list)
        self._recordings: dict[tuple[FileId, float], Recording] = {}
        self._by_length: dict[int, list[Recording]] | None = None
        self._hashes: dict[int, set[str]] = {}
        self.add(recordings)

    def add(self, recordings: Iterable[Recording]) -> None:
        """Compare with these, too; the last of one stretch counts."""
        for recording in recordings:
            file = _file(recording.path)
            self._stretches[file].append(_stretch(recording))
            self._recordings[file, recording.offset_s] = recording
        self._by_length, self._hashes = None, {}

    def has_file(self, recording: Recording) -> bool:
        """Return whether a recording shares a stretch of a file with a known one, by whatever path."""
        begin, end = _stretch(recording)
        return any(
            min(end, other_end) - max(begin, other_begin) > TOUCHING_S
            for other_begin, other_end in self._stretches.get(_file(recording.path), ())
        )

    def has_samples(self, recording: Recording) -> bool:
        """Return whether a recording has the samples of a known one, in whatever file.

        Of recordings without :data:`SAMPLES` those are read that are of one length; what cannot be read is no
        copy.
        """
        length = _length(recording)
        near = [step for step in range(length - 1, length + 2) if length and step in self._lengths()]
        samples = _hash(recording) if near else None
        return samples is not None and any(samples in self._hashes_of(step) for step in near)

    def __contains__(self, recording: Recording) -> bool:
        return self.has_file(recording) or self.has_samples(recording)

    def _lengths(self) -> dict[int, list[Recording]]:
        """Return the known recordings by their length."""
        if self._by_length is None:
            self._by_length = defaultdict(list)
            for recording in self._recordings.values():
                self._by_length[_length(recording)].append(recording)
        return self._by_length

    def _hashes_of(self, length: int) -> set[str]:
        """Return the hashes of the known recordings of a length."""
        if length not in self._hashes:
            found = map(_hash, self._lengths()[length])
            self._hashes[length] = {samples for samples in found if samples is not None}
        return self._hashes[length]


def with_hashes(result: CheckResult) -> list[Recording]:
    """Return the usable recordings of a check with :data:`SAMPLES`."""
    return [
        replace(check.recording, extra={**check.recording.extra, SAMPLES: check.stats.digest})
        for check in result.checks
        if check.rejection is None and check.stats is not None
    ]


def without_hash(recording: Recording) -> Recording:
    """Return a recording without :data:`SAMPLES`, as for a part of it."""
    return replace(recording, extra={k: v for k, v in recording.extra.items() if k != SAMPLES})


def _file(path: Path) -> FileId:
    """Return what is the same for every path that leads to a file."""
    try:
        state = os.stat(path)
    except OSError:
        return os.path.abspath(path)
    return state.st_dev, state.st_ino


def _stretch(recording: Recording) -> tuple[float, float]:
    """Return where a recording begins and ends in its file, in seconds."""
    length_s = math.inf if recording.duration_s is None else recording.duration_s
    return recording.offset_s, recording.offset_s + length_s


def _length(recording: Recording) -> int:
    """Return a length in steps of :data:`SAME_LENGTH_S`; 0 where it cannot be read."""
    length_s = recording.duration_s
    if length_s is None:
        try:
            length_s = audio.duration_s(recording.path) - recording.offset_s
        except AudioError:
            return 0
    return round(length_s / SAME_LENGTH_S)


def _hash(recording: Recording) -> str | None:
    """Return the hash of the samples, which are read where it is not known; None where they cannot be."""
    samples = recording.extra.get(SAMPLES)
    if samples is not None:
        return str(samples)
    try:
        return measure(recording).digest
    except AudioError:
        return None
