"""A detector on audio that no model has seen: frame scores, then which clips it misses at a rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.audio import seconds_to_samples
from kws.decisions import DecisionConfig
from kws.detector import Detector
from kws.evaluation.metrics import pack, sweep
from kws.evaluation.scoring import TAIL_S
from kws.studies.held_out import UnseenAudio

BLOCK_S = 10.0
"""Audio given to the detector at once: 30 s took a quarter longer, as it leaves the processor's cache."""


@dataclass(frozen=True, slots=True)
class MissCount:
    """What a detector misses in one condition at a rate of false accepts."""

    threshold: float | None
    """Lowest one that keeps to the rate; None where none does, and all clips count as missed."""
    missed: tuple[int, ...]
    """Indices of the clips in which nothing fired."""
    clips: int
    """How many there are."""
    false_accepts: int
    """Detections in the negatives."""


def detector_scores(
    model: Path, test: UnseenAudio, keyword: str | None = None
) -> tuple[dict[str, list[np.ndarray]], np.ndarray, float]:
    """Score all test audio with :class:`kws.Detector`, for one keyword of a file.

    Args:
        model: an exported ``.onnx``.
        test: clips, each from a cold start with silence after it, and the stream.
        keyword: one of the file; None is its first.
    Returns:
        (frames,) scores of each clip by condition, (frames,) of the negatives, and seconds per frame.
    """
    detector = Detector(model)
    column = 0 if keyword is None else detector.keywords.index(keyword)
    tail = np.zeros(seconds_to_samples(TAIL_S), np.int16)

    def clip_scores(clip: np.ndarray) -> np.ndarray:
        detector.reset()
        return detector.scores(np.concatenate([clip, tail]))[:, column]

    positives = {name: [clip_scores(clip) for clip in clips] for name, clips in test.positives.items()}
    detector.reset()
    block, samples = seconds_to_samples(BLOCK_S), test.negatives
    pieces = [
        detector.scores(samples[start : start + block])[:, column] for start in range(0, len(samples), block)
    ]
    return positives, np.concatenate(pieces), detector.hop_s


def count_misses(
    positives: Mapping[str, Sequence[np.ndarray]],
    negatives: np.ndarray,
    hours: float,
    rates: Sequence[float],
    config: DecisionConfig,
    hop_s: float,
) -> dict[str, dict[float, MissCount]]:
    """Return the misses by condition and rate of false accepts per hour.

    Args:
        positives: (frames,) scores of each clip, by condition.
        negatives: (frames,) scores of the stream.
        hours: of the stream.
        rates: false accepts per hour.
        config: smoothing and refractory time; its thresholds are not used.
        hop_s: seconds per frame.
    Raises:
        ConfigError: a condition has no clips, or there are no hours.
    """
    found: dict[str, dict[float, MissCount]] = {}
    for condition, scores in positives.items():
        curve = sweep(scores, [negatives], hours, config, hop_s)
        found[condition] = {}
        for rate in rates:
            point = curve.miss_rate_at(rate)
            if point is None:
                count = MissCount(None, tuple(range(len(scores))), len(scores), 0)
            else:
                fired = pack(scores, config, hop_s, point.threshold).fire(point.threshold)
                missed = sorted(set(range(len(scores))) - {int(owner) for owner in fired.owners})
                accepts = point.false_accepts.events
                count = MissCount(point.threshold, tuple(missed), len(scores), accepts)
            found[condition][rate] = count
    return found
