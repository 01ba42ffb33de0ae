"""Recordings of a manifest as one array of int16 samples, in memory or in a file that every process maps."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

import numpy as np
from tqdm import tqdm

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.decoded_audio import DecodedAudio, decode
from kws.errors import AudioError
from kws.manifest import Recording

FEW = 500
"""So many files are read sooner than processes have started."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of a system error: the disk, the person's share of it, or a file is full."""
BEGUN = re.compile(r"\.[0-9a-f]{16}\.int16\.[a-z0-9_]{8}")
"""Name of a file that was begun."""
LEFT_S = 3600.0
"""A file that was begun and not written to for so long was left behind by a process that was killed."""

Decode = Callable[[Recording], np.ndarray]
"""``decode(utterance) -> (samples,) int16``; raises AudioError."""


class AudioStore:
    """Recordings of a manifest as one array of int16 samples, read in parallel.

    A cache holds 115 MB an hour. It is written recording by recording, and a process that makes batches maps
    the file for itself, so that neither the one nor the other holds all samples. What processes have decoded
    waits in memory for its turn to be written.

    Attributes:
        samples: (samples,) int16, the recordings one after the other.
        offsets: where each begins, and the end of the last.
        faults: recordings that cannot be used, of no length here, by index, and why.

    Args:
        utterances: what to hold.
        cache: folder for the decoded samples, shared by runs over the same files; None keeps them in memory
            only.
        num_workers: processes that decode.
        description: label of the progress bar.
        decode: what reads a recording; it is part of what a cache is known by.
        keep_faults: recordings that cannot be read go to ``faults``.
        progress: show the bar.
        decoded: what was decoded before, of which nothing is read again.
    Raises:
        AudioError: a file cannot be read.
    """

    def __init__(
        self,
        utterances: Sequence[Recording],
        cache: Path | None = None,
        num_workers: int = 2,
        description: str = "audio",
        *,
        decode: Decode = decode,
        keep_faults: bool = False,
        progress: bool = True,
        decoded: DecodedAudio | None = None,
    ) -> None:
        self.utterances = list(utterances)
        self._stored: Path | None = None
        read = functools.partial(_tried, decode) if keep_faults else decode
        known = [decoded is not None and entry in decoded for entry in self.utterances]
        others = [entry for entry, is_known in zip(self.utterances, known, strict=True) if not is_known]
        pieces = _decode_all(others, read, num_workers, description, progress)
        if decoded is not None:
            pieces = _with_decoded(self.utterances, known, decoded, pieces)
        if cache is None:
            faults: dict[int, str] = {}
            kept = list(_without_faults(pieces, faults))
            lengths = [len(piece) for piece in kept]
            self.samples = np.concatenate([np.zeros(0, np.int16), *kept])
        else:
            _remove_left(cache)
            self._stored = cache / f"{_fingerprint(self.utterances, decode, keep_faults)}.int16"
            length_s = sum(entry.length_s for entry in self.utterances)
            lengths, faults = _facts(self._stored) or _write(self._stored, pieces, length_s)
            self.samples = _mapped(self._stored)
        self.offsets = np.cumsum([0, *lengths])
        self.faults = faults

    def __len__(self) -> int:
        return len(self.utterances)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out samples that another process can map for itself."""
        return self.__dict__ if self._stored is None else self.__dict__ | {"samples": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._stored is not None:
            self.samples = _mapped(self._stored)

    @property
    def hours(self) -> float:
        """Hours of audio held."""
        return len(self.samples) / SAMPLE_RATE / 3600

    def clips(self, indices: Sequence[int]) -> Clips:
        """Return some of the recordings, as they are."""
        return Clips(self, indices)

    def clip(self, index: int) -> np.ndarray:
        """Return recording ``index``, (samples,) int16."""
        return self.samples[self.offsets[index] : self.offsets[index + 1]]

    def waveform(self, index: int) -> np.ndarray:
        """Return recording ``index``, (samples,) float32."""
        return audio.to_float32(self.clip(index))

    def window(self, start: int, num_samples: int) -> np.ndarray:
        """Return ``num_samples`` from anywhere in the joined recordings, (samples,) float32."""
        start = int(np.clip(start, 0, max(0, len(self.samples) - num_samples)))
        return audio.to_float32(self.samples[start : start + num_samples])


class Clips(Sequence[np.ndarray]):
    """Recordings of a store, (samples,) int16 each, which stay where the store has them."""

    def __init__(self, store: AudioStore, indices: Sequence[int]) -> None:
        self._store, self._indices = store, list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Clips: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Clips:
        if isinstance(index, slice):
            return Clips(self._store, self._indices[index])
        return self._store.clip(self._indices[index])


def _fingerprint(utterances: Sequence[Recording], decode: Decode, keep_faults: bool) -> str:
    """Name the content of a list of recordings by path, size, time and offset, and by how it is read.

    Raises:
        AudioError: a file is missing, unless faults are kept.
    """
    rows = []
    for entry in utterances:
        try:
            stat: os.stat_result | None = entry.path.stat()
        except OSError as error:
            stat = None
            if not keep_faults:
                raise AudioError(
                    f"{error.filename}: {error.strerror}; check the path in the manifest", kind="missing"
                ) from error
        changes = (stat.st_size, stat.st_mtime_ns) if stat else (None, None)
        rows.append((str(entry.path), *changes, entry.offset_s, entry.duration_s))
    return hashlib.sha256(json.dumps([decode.__name__, keep_faults, rows]).encode()).hexdigest()[:16]


def _tried(decode: Decode, utterance: Recording) -> np.ndarray | AudioError:
    """Return what a recording holds, or why it cannot be used."""
    try:
        return decode(utterance)
    except AudioError as error:
        return error


def _decode_all(
    utterances: Sequence[Recording],
    read: Callable[[Recording], np.ndarray | AudioError],
    num_workers: int,
    description: str,
    progress: bool,
) -> Iterator[np.ndarray | AudioError]:
    """Decode in order, in processes when there is enough to do."""
    if not utterances:
        return
    bar = {
        "desc": f"reading {description}",
        "unit": "file",
        "total": len(utterances),
        "disable": None if progress else True,
    }
    if num_workers < 2 or len(utterances) < FEW:
        yield from tqdm(map(read, utterances), **bar)
        return
    with ProcessPoolExecutor(num_workers) as pool:
        yield from tqdm(pool.map(read, utterances, chunksize=32), **bar)


def _with_decoded(
    recordings: Sequence[Recording],
    known: Sequence[bool],
    decoded: DecodedAudio,
    others: Iterator[np.ndarray | AudioError],
) -> Iterator[np.ndarray | AudioError]:
    """Yield in order what was decoded before and, of the others, what is decoded now."""
    for recording, is_known in zip(recordings, known, strict=True):
        yield decoded.clip(recording) if is_known else next(others)


def _without_faults(
    pieces: Iterator[np.ndarray | AudioError], faults: dict[int, str]
) -> Iterator[np.ndarray]:
    """Yield each recording; one that cannot be used is empty and in ``faults``."""
    for index, piece in enumerate(pieces):
        if isinstance(piece, AudioError):
            faults[index] = str(piece)
            piece = np.zeros(0, np.int16)
        yield piece


def _remove_left(cache: Path) -> None:
    """Remove what killed processes left behind: many gigabytes, where there is much speech."""
    for begun in cache.glob(".*.int16.*"):
        with suppress(FileNotFoundError):  # another process was sooner
            if BEGUN.fullmatch(begun.name) and time.time() - begun.stat().st_mtime > LEFT_S:
                begun.unlink()


def _facts_path(stored: Path) -> Path:
    return stored.with_suffix(".json")


def _write(
    stored: Path, pieces: Iterator[np.ndarray | AudioError], length_s: float
) -> tuple[list[int], dict[int, str]]:
    """Write recordings of a length in all as they come, and last of all what :func:`_facts` returns.

    Raises:
        AudioError: there is no room for them; what was begun is removed.
    """
    lengths: list[int] = []
    faults: dict[int, str] = {}
    try:
        with audio.atomic_write(stored) as temporary, temporary.open("wb") as file:
            for piece in _without_faults(pieces, faults):
                file.write(np.ascontiguousarray(piece).data)  # its `tofile` hides why a disk takes no more
                lengths.append(len(piece))
        with audio.atomic_write(_facts_path(stored)) as temporary:
            temporary.write_text(
                json.dumps({"lengths": lengths, "faults": list(faults.items())}), encoding="utf-8"
            )
    except OSError as error:
        if error.errno not in FULL:
            raise
        needed_mb = length_s * SAMPLE_RATE * np.dtype(np.int16).itemsize / 1e6
        free_mb = shutil.disk_usage(stored.parent).free / 1e6
        raise AudioError(
            f"{stored}: no room for decoded audio ({error.strerror}): it takes {needed_mb:.0f} MB, "
            f"{free_mb:.0f} MB are free there; free {max(needed_mb - free_mb, 1):.0f} MB or more, or give "
            "`cache` on another disk, and then the same command"
        ) from error
    return lengths, faults


def _facts(stored: Path) -> tuple[list[int], dict[int, str]] | None:
    """Return the length of each recording in a file, and what cannot be used; None: it is not whole."""
    try:
        facts = json.loads(_facts_path(stored).read_text(encoding="utf-8"))
        faults = dict(facts["faults"])
        whole = stored.stat().st_size == np.dtype(np.int16).itemsize * sum(facts["lengths"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (facts["lengths"], faults) if whole else None


def _mapped(stored: Path) -> np.ndarray:
    """Return the samples of a file, which stay there until they are read; an empty one cannot be mapped."""
    if stored.stat().st_size == 0:
        return np.zeros(0, np.int16)
    return np.asarray(np.memmap(stored, np.int16, "r"))
