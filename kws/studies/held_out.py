"""Audio that no model of a study has seen, made once and kept as arrays that each cell maps into memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kws.audio import SAMPLE_RATE, atomic_write
from kws.config import load_config, to_dict
from kws.evaluation.heard import HeardClip, HeardPiece
from kws.evaluation.protocol import TestProtocol

NEGATIVES = "negatives"
PROTOCOL = "protocol.json"


@dataclass(frozen=True)
class UnseenAudio:
    """Audio that no model has seen.

    Attributes:
        positives: per condition, int16 clips of the keyword with what is heard around them.
        negatives: int16 stream of speech without the keyword and of noise.
        hours: of the recordings in it, without the silence between them.
        original_hours: of them, distinct original recordings.
        hit_from_s: per condition, where in each clip a detection may first hit, in seconds; a condition that
            is missing accepts all.
        protocol: by which it was made.
    """

    positives: dict[str, list[np.ndarray]]
    negatives: np.ndarray
    hours: float
    original_hours: float
    hit_from_s: dict[str, list[float]] = field(default_factory=dict)
    protocol: TestProtocol = field(default_factory=TestProtocol)


def hit_from_s(clip: HeardClip, protocol: TestProtocol) -> float:
    """Return where in a clip a detection may first hit, in seconds from the beginning of what is heard."""
    return clip.lead_s + clip.start_s - protocol.early_s


def save_clips(
    folder: Path, name: str, clips: Mapping[str, Sequence[HeardClip]], protocol: TestProtocol
) -> None:
    """Keep the clips of a keyword.

    Args:
        folder: gets ``NAME.npy`` and, last, ``NAME.json``.
        name: of the files.
        clips: per condition, the same ones in the same order.
        protocol: by which they were made.
    """
    _save_samples(folder / f"{name}.npy", [clip.samples for group in clips.values() for clip in group])
    (first, *_) = clips.values()
    facts = {
        "conditions": {
            condition: [len(clip.samples) for clip in group] for condition, group in clips.items()
        },
        "hit_from_s": {
            condition: [hit_from_s(clip, protocol) for clip in group] for condition, group in clips.items()
        },
        "speakers": [clip.utterance.speaker or clip.utterance.item_id for clip in first],
    }
    _save_facts(folder / PROTOCOL, to_dict(protocol))
    _save_facts(folder / f"{name}.json", facts)


def save_negatives(folder: Path, recordings: Iterable[HeardPiece]) -> None:
    """Keep the stream of negatives."""
    pieces: list[np.ndarray] = []
    samples = {False: 0, True: 0}
    for recording in recordings:
        for piece in recording.pieces:
            pieces.append(piece)
            samples[recording.is_copy] += len(piece)
        pieces.append(np.zeros(recording.gap_samples, np.int16))
    _save_samples(folder / f"{NEGATIVES}.npy", pieces)
    facts = {"original_samples": samples[False], "recorded_samples": sum(samples.values())}
    _save_facts(folder / f"{NEGATIVES}.json", facts)


def is_saved(folder: Path, name: str) -> bool:
    """Tell whether the clips of this name, or the negatives, are there."""
    return (folder / f"{name}.json").is_file()


def load_speakers(folder: Path, name: str) -> list[str]:
    """Return the speaker of each clip, or a name of the clip's own."""
    speakers: list[str] = _facts(folder, name)["speakers"]
    return speakers


def load_negatives(folder: Path) -> tuple[np.ndarray, float]:
    """Return the stream of negatives, which stays on disk until it is read, and hours of its recordings."""
    stream = np.load(folder / f"{NEGATIVES}.npy", mmap_mode="r")
    return stream, _facts(folder, NEGATIVES)["recorded_samples"] / (3600 * SAMPLE_RATE)


def load_test_audio(folder: Path, name: str) -> UnseenAudio:
    """Return clips and negatives; the samples stay on disk until they are read."""
    facts, (negatives, hours) = _facts(folder, name), load_negatives(folder)
    samples = np.load(folder / f"{name}.npy", mmap_mode="r")
    ends = np.cumsum([0, *(length for group in facts["conditions"].values() for length in group)])
    pieces = iter([samples[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)])
    return UnseenAudio(
        {condition: [next(pieces) for _ in group] for condition, group in facts["conditions"].items()},
        negatives,
        hours,
        _facts(folder, NEGATIVES)["original_samples"] / (3600 * SAMPLE_RATE),
        facts["hit_from_s"],
        load_config(TestProtocol, json.loads((folder / PROTOCOL).read_text(encoding="utf-8")), PROTOCOL),
    )


def _facts(folder: Path, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return facts


def _save_samples(path: Path, pieces: Sequence[np.ndarray]) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate([np.zeros(0, np.int16), *pieces]))


def _save_facts(path: Path, facts: dict[str, Any]) -> None:
    """Write what is known of an array; it is there once this file is."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
