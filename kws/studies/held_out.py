"""Audio that no model of a study has seen, made once and kept as arrays that each cell maps into memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kws.audio import SAMPLE_RATE, atomic_write, seconds_to_samples
from kws.evaluation.scoring import LEAD_S

NEGATIVES = "negatives"


@dataclass(frozen=True)
class UnseenAudio:
    """Audio that no model has seen.

    Attributes:
        positives: per condition, int16 clips of the keyword.
        negatives: int16 stream of speech without the keyword and of noise.
        hours: of the negatives.
        original_hours: of them, distinct original recordings.
    """

    positives: dict[str, list[np.ndarray]]
    negatives: np.ndarray
    hours: float
    original_hours: float

    def after_silence(self) -> UnseenAudio:
        """Return the same audio with silence before each clip: a device is long past its start."""
        lead = (seconds_to_samples(LEAD_S), 0)
        clips = {name: [np.pad(clip, lead) for clip in clips] for name, clips in self.positives.items()}
        return replace(self, positives=clips)


def save_clips(
    folder: Path, name: str, clips: Mapping[str, Sequence[np.ndarray]], speakers: Sequence[str]
) -> None:
    """Keep the clips of a keyword.

    Args:
        folder: gets ``NAME.npy`` and, last, ``NAME.json``.
        name: of the files.
        clips: per condition, int16 clips, the same ones in the same order.
        speakers: of each clip, or a name of its own.
    """
    _save_samples(folder / f"{name}.npy", [clip for group in clips.values() for clip in group])
    lengths = {condition: [len(clip) for clip in group] for condition, group in clips.items()}
    _save_facts(folder / f"{name}.json", {"conditions": lengths, "speakers": list(speakers)})


def save_negatives(folder: Path, stream: np.ndarray, original_samples: int) -> None:
    """Keep the stream of negatives, of which the first so many samples are originals."""
    _save_samples(folder / f"{NEGATIVES}.npy", [stream])
    _save_facts(folder / f"{NEGATIVES}.json", {"original_samples": original_samples})


def is_saved(folder: Path, name: str) -> bool:
    """Tell whether the clips of this name, or the negatives, are there."""
    return (folder / f"{name}.json").is_file()


def load_speakers(folder: Path, name: str) -> list[str]:
    """Return the speaker of each clip."""
    speakers: list[str] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["speakers"]
    return speakers


def load_test_audio(folder: Path, name: str) -> UnseenAudio:
    """Return clips and negatives; the samples stay on disk until they are read."""
    lengths = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["conditions"]
    samples = np.load(folder / f"{name}.npy", mmap_mode="r")
    ends = np.cumsum([0, *(length for group in lengths.values() for length in group)])
    pieces = iter([samples[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)])
    positives = {condition: [next(pieces) for _ in group] for condition, group in lengths.items()}
    negatives = np.load(folder / f"{NEGATIVES}.npy", mmap_mode="r")
    originals = json.loads((folder / f"{NEGATIVES}.json").read_text(encoding="utf-8"))["original_samples"]
    hour = 3600 * SAMPLE_RATE
    return UnseenAudio(positives, negatives, len(negatives) / hour, originals / hour)


def _save_samples(path: Path, pieces: Sequence[np.ndarray]) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate([np.zeros(0, np.int16), *pieces]))


def _save_facts(path: Path, facts: dict[str, Any]) -> None:
    """Write what is known of an array; it is there once this file is."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
