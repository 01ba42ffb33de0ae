"""Length, level, clipping and a hash of a recording from one pass over it, and a file that remembers them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from kws import audio
from kws.decoded_audio import DecodedAudio
from kws.manifest import Recording

BLOCK_S = 10.0
"""Length of the pieces that a file is read in, in seconds; 60 is no faster and takes more memory."""

FULL_SCALE = 0.999
"""Samples at or above this magnitude count as clipped (33 of 32,768 steps below full scale)."""

CACHE_VERSION = 2
"""Changes when a measurement changes its meaning; older cache lines are then not used."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What one pass over a recording measures."""

    duration_s: float
    """Length in seconds, as decoded."""
    peak_db: float
    """Largest magnitude around the mean in dB of full scale; -200 for a constant."""
    rms_db: float
    """Mean power around the mean in dB of full scale; -200 for a constant."""
    clipped_share: float
    """Share of samples at full scale (after conversion to 16 kHz mono)."""
    sample_rate: int
    """Rate of the file in Hz."""
    channels: int
    """Channels of the file."""
    digest: str
    """Hash of the 16 kHz mono samples as 16-bit integers."""
    header_note: str | None = None
    """What is wrong with the file's header and was mended on reading."""


def measure(recording: Recording, decoded: DecodedAudio | None = None) -> Stats:
    """Decode a recording once, block by block, and measure it.

    Args:
        recording: what to read.
        decoded: keeps its samples, for who hears it next.

    Raises:
        AudioError: it cannot be decoded, holds no samples or holds NaN or infinite values.
    """
    facts = audio.info(recording.path)
    samples = clipped = 0
    places = []
    lowest, highest, total, energy = math.inf, -math.inf, 0.0, 0.0
    digest = hashlib.blake2b(digest_size=16)
    for waveform in recording.pieces(BLOCK_S):
        low, high = float(waveform.min()), float(waveform.max())
        lowest, highest = min(lowest, low), max(highest, high)
        if max(-low, high) >= FULL_SCALE:
            clipped += int(np.count_nonzero(np.abs(waveform) >= FULL_SCALE))
        total += float(waveform.sum(dtype=np.float64))
        energy += float(np.dot(waveform, waveform))
        samples += waveform.size
        pcm = audio.to_int16(waveform)
        digest.update(pcm.data)
        if decoded is not None:
            places.append(decoded.append(pcm))
    if decoded is not None:
        decoded.keep(replace(recording, sample_rate=facts.sample_rate), places, samples)
    mean = total / samples
    return Stats(
        duration_s=audio.samples_to_seconds(samples),
        peak_db=20 * math.log10(max(highest - mean, mean - lowest, 1e-10)),
        rms_db=10 * math.log10(max(energy / samples - mean**2, 1e-20)),
        clipped_share=clipped / samples,
        sample_rate=facts.sample_rate,
        channels=facts.channels,
        digest=digest.hexdigest(),
        header_note=facts.note,
    )


class MeasurementCache:
    """A JSONL file of measurements by path, size, time of change and stretch; a torn last line is ignored."""

    def __init__(self, path: str | Path | None) -> None:
        """Read what is there; ``None`` remembers nothing."""
        self.path = None if path is None else Path(path)
        self._known: dict[str, dict[str, Any]] = {}
        self._file: IO[str] | None = None

    def __enter__(self) -> MeasurementCache:
        """Open the file for appending."""
        if self.path is None:
            return self
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                    self._known[row["key"]] = row["stats"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def get(self, recording: Recording) -> Stats | None:
        """Return the measurements of an unchanged file."""
        row = self._known.get(self._key(recording) or "") if self._known else None
        try:
            return None if row is None else Stats(**row)
        except TypeError:
            return None

    def put(self, recording: Recording, stats: Stats | None) -> None:
        """Append measurements that are new."""
        if self._file is None or stats is None:
            return
        key = self._key(recording)
        if key is None or key in self._known:
            return
        self._known[key] = asdict(stats)
        self._file.write(json.dumps({"key": key, "stats": self._known[key]}) + "\n")
        self._file.flush()

    @staticmethod
    def _key(recording: Recording) -> str | None:
        """Name a stretch of a file in its present state."""
        try:
            state = recording.path.stat()
        except OSError:
            return None
        where = f"{recording.path}|{state.st_size}|{state.st_mtime_ns}"
        return f"{CACHE_VERSION}|{where}|{recording.offset_s!r}|{recording.duration_s!r}"
