"""Choosing the operating point on dev scores; training calls it after each round and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.checkpoint import OperatingPoint
from kws.decisions import DecisionConfig, decide
from kws.evaluation.metrics import choose_threshold

LOSS_BLOCK_FRAMES = 50
LOSS_BLOCKS = 20
"""The dev loss reads the negatives' worst 20 blocks of 50 frames: those that could become false accepts."""
SMALLEST = 1e-6
MOST_MISSED = 0.5
"""A threshold at which a larger share of the dev recordings is missed is warned of."""


@dataclass(frozen=True, slots=True)
class DevScores:
    """Scores of one model on the dev recordings.

    Attributes:
        positives: (frames, keyword) per clip.
        labels: keyword index per clip.
        negatives: (frames, keyword), joined.
        hours: of the negatives.
    """

    positives: list[np.ndarray]
    labels: tuple[int, ...]
    negatives: np.ndarray
    hours: float

    def loss(self) -> float:
        """Cross-entropy of the clips' best frames and the negatives' worst blocks; smooth, unlike misses."""
        best = [clip[:, label].max() for clip, label in zip(self.positives, self.labels, strict=True)]
        frames = len(self.negatives) // LOSS_BLOCK_FRAMES * LOSS_BLOCK_FRAMES
        blocks = self.negatives[:frames].reshape(-1, LOSS_BLOCK_FRAMES * self.negatives.shape[1]).max(axis=1)
        worst = np.sort(blocks)[-LOSS_BLOCKS:] if len(blocks) else np.zeros(1)
        hits = -np.log(np.maximum(best, SMALLEST)).mean() if best else 0.0
        return float(hits - np.log(np.maximum(1 - worst, SMALLEST)).mean())


def choose_operating_point(
    scores: DevScores,
    keywords: Sequence[str],
    *,
    hop_samples: int,
    false_accepts_per_hour: float,
    smoothing_frames: int,
    refractory_s: float,
) -> tuple[OperatingPoint, dict[str, float], list[str]]:
    """Choose a threshold per keyword on the dev negatives and count the misses there.

    Args:
        scores: of the dev recordings.
        keywords: names of the outputs.
        hop_samples: samples between two frames.
        false_accepts_per_hour: wished rate, per keyword.
        smoothing_frames: frames averaged before the threshold.
        refractory_s: seconds in which a keyword fires once.
    Returns:
        The operating point, the miss rate per keyword (nan without clips of it), and what is doubtful about
        it.
    """
    hop_s = hop_samples / SAMPLE_RATE
    thresholds, misses, doubts = {}, {}, []
    for index, keyword in enumerate(keywords):
        config = DecisionConfig((1.0,), smoothing_frames, refractory_s)
        choice = choose_threshold(
            [scores.negatives[:, index]], scores.hours, false_accepts_per_hour, config, hop_s
        )
        if choice.reason:
            doubts.append(f"{keyword}: {choice.reason}")
        thresholds[keyword] = float(choice.threshold)
        decision = DecisionConfig((choice.threshold,), smoothing_frames, refractory_s)
        clips = [clip for clip, label in zip(scores.positives, scores.labels, strict=True) if label == index]
        hits = [bool(decide(clip[:, index : index + 1], [keyword], decision, hop_s)[0]) for clip in clips]
        misses[keyword] = 1 - float(np.mean(hits)) if hits else float("nan")
        if misses[keyword] > MOST_MISSED:
            doubts.append(
                f"{keyword}: WARNING: {100 * misses[keyword]:.0f} % of the dev recordings are missed at its "
                "threshold; look for something like it among the negatives, or allow more with "
                "--false-accepts-per-hour"
            )
    point = OperatingPoint(thresholds, false_accepts_per_hour, scores.hours, smoothing_frames, refractory_s)
    return point, misses, doubts
