"""The operating point on scores made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kws.evaluation.thresholds import LOSS_BLOCKS, DevScores, choose_operating_point

HOP_SAMPLES = 640
HOUR = 90_000
"""Frames of 40 ms."""


def clip(*peaks: float) -> np.ndarray:
    """(frames, 2) scores: ten quiet frames, one peak for each keyword, ten quiet frames."""
    scores = np.full((21, 2), 0.01, np.float32)
    scores[10] = peaks
    return scores


def stream(*peaks: tuple[int, int, float]) -> np.ndarray:
    """(frames, 2): an hour of 0.01 with (frame, keyword, score) above it."""
    scores = np.full((HOUR, 2), 0.01, np.float32)
    for frame, keyword, score in peaks:
        scores[frame, keyword] = score
    return scores


def choose(scores: DevScores, rate: float, smoothing_frames: int = 1, refractory_s: float = 1.0):
    return choose_operating_point(
        scores,
        ("a", "b"),
        hop_samples=HOP_SAMPLES,
        false_accepts_per_hour=rate,
        smoothing_frames=smoothing_frames,
        refractory_s=refractory_s,
    )


NEGATIVES = stream((1000, 0, 0.9), (2000, 0, 0.8), (3000, 0, 0.6), (4000, 0, 0.5), (500, 1, 0.3))


def test_each_keyword_gets_the_lowest_threshold_that_keeps_to_the_rate():
    positives = [clip(0.95, 0.0), clip(0.7, 0.0), clip(0.55, 0.0), clip(0.0, 0.31), clip(0.9, 0.2)]
    scores = DevScores(positives, (0, 0, 0, 1, 1), NEGATIVES, 1.0)
    point, misses, doubts = choose(scores, 2.0)
    # two false accepts (0.9 and 0.8) are allowed, the third highest peak is not
    assert 0.6 < point.thresholds["a"] < 0.61
    assert point.thresholds["b"] < 0.02  # 0.3 alone is one per hour; below it lies a single long burst
    assert misses["a"] == pytest.approx(1 / 3)  # 0.55
    assert misses["b"] == 0
    assert len(doubts) == 2 and doubts[0].startswith("a: 1 h of negatives are too few")
    point, misses, doubts = choose(scores, 0.5)
    assert 0.9 < point.thresholds["a"] < 0.91 and 0.3 < point.thresholds["b"] < 0.31
    assert misses == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 2)}
    assert (point.false_accepts_per_hour, point.dev_hours) == (0.5, 1.0)
    (warning,) = [doubt for doubt in doubts if "WARNING" in doubt]  # a half, as of b, is not warned of
    assert warning.startswith("a: WARNING: 67 % of the dev recordings are missed")


def test_smoothing_and_refractory_time_are_those_of_the_device():
    negatives = stream((1000, 0, 0.9), (1001, 0, 0.9), (1020, 0, 0.9))
    scores = DevScores([clip(0.95, 0.0)], (0,), negatives, 1.0)
    allowed = choose(scores, 1.0, smoothing_frames=2, refractory_s=1.0)[0].thresholds["a"]
    assert allowed < 0.05  # the second burst lies within the refractory time: one false accept
    strict = choose(scores, 1.0, smoothing_frames=2, refractory_s=0.1)[0].thresholds["a"]
    assert 0.455 < strict < 0.47  # the lone frame, smoothed over two: (0.9 + 0.01) / 2
    point, misses, _ = choose(scores, 0.9, smoothing_frames=2)
    assert 0.9 < point.thresholds["a"] < 0.91 and misses["a"] == 1  # 0.95 smoothed is 0.48
    assert (point.smoothing_frames, point.refractory_s) == (2, 1.0)


def test_a_keyword_without_clips_has_no_miss_rate():
    _, misses, _ = choose(DevScores([clip(0.9, 0.0)], (0,), NEGATIVES, 1.0), 0.5)
    assert math.isnan(misses["b"])


def test_enough_hours_raise_no_doubt():
    scores = DevScores([clip(0.9, 0.9)], (0,), NEGATIVES, 1.0)
    assert choose(scores, 3.0)[2] == []


def test_the_loss_is_the_cross_entropy_of_best_frames_and_worst_blocks():
    scores = DevScores([clip(0.5, 0.9), clip(0.9, 0.25)], (0, 1), NEGATIVES, 1.0)
    hits = -(math.log(0.5) + math.log(0.25)) / 2
    worst = [0.9, 0.8, 0.6, 0.5, 0.3, *[0.01] * (LOSS_BLOCKS - 5)]
    accepts = -sum(math.log(1 - value) for value in worst) / LOSS_BLOCKS
    assert scores.loss() == pytest.approx(hits + accepts, rel=1e-5)
    assert DevScores([], (), NEGATIVES[:10], 1.0).loss() == 0
    certain = DevScores([clip(1.0, 0.0)], (0,), np.ones((50, 2), np.float32), 1.0)
    assert certain.loss() == pytest.approx(-math.log(1e-6))
