"""The operating point on scores made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kws.decisions import THRESHOLD_FLOOR, DecisionSettings, decide
from kws.evaluation.thresholds import (
    HIGHEST_BEYOND,
    LOSS_BLOCKS,
    TAIL_PEAKS,
    DevScores,
    choose_operating_point,
    false_accept_counts,
    lowest_unshown,
    unusable,
)

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


def choose(
    scores: DevScores,
    rate: float,
    smoothing_frames: int = 1,
    refractory_s: float = 1.0,
    floor: float = THRESHOLD_FLOOR,
    **more: float,
):
    return choose_operating_point(
        scores,
        ("a", "b"),
        hop_samples=HOP_SAMPLES,
        settings=DecisionSettings(rate, smoothing_frames, refractory_s, threshold_floor=floor),
        **more,
    )


NEGATIVES = stream((1000, 0, 0.9), (2000, 0, 0.8), (3000, 0, 0.6), (4000, 0, 0.5), (500, 1, 0.3))


def test_each_keyword_gets_the_lowest_threshold_that_keeps_to_the_rate():
    positives = [clip(0.95, 0.0), clip(0.7, 0.0), clip(0.55, 0.0), clip(0.0, 0.31), clip(0.9, 0.2)]
    scores = DevScores(positives, (0, 0, 0, 1, 1), NEGATIVES, 1.0)
    point, misses, doubts = choose(scores, 3.0)
    # three false accepts (0.9, 0.8 and 0.6) are allowed, the fourth highest peak is not
    assert 0.5 < point.thresholds["a"] < 0.51
    assert point.thresholds["b"] < 0.02  # 0.3 alone is one per hour; below it lies a single long burst
    assert misses == {"a": 0, "b": 0} and doubts == [] and point.floored == ()
    assert (point.decision.false_accepts_per_hour, point.dev_hours) == (3.0, 1.0)
    assert misses == dev(scores, 3.0)


def dev(scores: DevScores, rate: float, smoothing_frames: int = 1):
    """Return the misses at thresholds to compare models by."""
    point, misses, doubts = choose(scores, rate, smoothing_frames, proven_per_hour=0.0)
    assert point.floored == () and not any("show no rate" in doubt for doubt in doubts)
    return misses


def test_models_are_compared_at_the_counted_thresholds():
    positives = [clip(0.95, 0.0), clip(0.7, 0.0), clip(0.55, 0.0), clip(0.0, 0.31), clip(0.9, 0.2)]
    scores = DevScores(positives, (0, 0, 0, 1, 1), NEGATIVES, 1.0)
    assert dev(scores, 2.0) == {"a": pytest.approx(1 / 3), "b": 0}  # above 0.6 and far below 0.3
    assert dev(scores, 0.5) == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 2)}


def test_a_threshold_that_cannot_be_shown_is_raised_and_said():
    """Five minutes in which a model is sure of everything: a threshold of 0 would keep to any rate."""
    quiet = np.full((HOUR // 12, 2), 1e-4, np.float32)
    quiet[100::500] = 2e-3
    scores = DevScores([clip(0.8, 0.2)] * 2 + [clip(0.8, 0.9)], (0, 0, 1), quiet, 1 / 12)
    point, misses, doubts = choose(scores, 0.5, given_hours=0.5)
    assert point.thresholds == {"a": THRESHOLD_FLOOR, "b": THRESHOLD_FLOOR} and point.floored == ("a", "b")
    assert misses == {"a": 0, "b": 0}
    assert doubts == [
        "WARNING: 0.083 h of speech without the keyword show no rate below 36 false accepts/h, and 0.5 is "
        "wished: the threshold is raised, a from 0.002 to 0.500, b from 0.002 to 0.500; give 36 h of "
        "`negatives` to be sure"
    ]
    # scores of phones are no probabilities: their own tail tells, and no 0.5
    untrained, _, _ = choose(scores, 0.5, floor=0.0)
    assert all(0.002 < threshold < 0.01 for threshold in untrained.thresholds.values())
    # nothing is raised where it is known from elsewhere that such thresholds keep to the rate
    proven = choose(scores, 0.5, proven_per_hour=0.5)
    assert max(proven[0].thresholds.values()) < 0.01 and proven[0].floored == () and proven[2] == []
    assert choose(scores, 0.4, proven_per_hour=0.5)[0].floored == ("a", "b")


def test_what_is_high_enough_is_not_raised_but_the_hours_are_told():
    heard = stream((1000, 0, 0.9), (2000, 0, 0.8), (1000, 1, 0.9), (2000, 1, 0.8))
    point, _, doubts = choose(DevScores([], (), heard, 1.0), 1.0)
    assert all(0.8 < threshold < 0.81 for threshold in point.thresholds.values()) and point.floored == ()
    assert doubts == [
        "1 h of speech without the keyword show no rate below 3 false accepts/h, and 1 is wished; "
        "give 3 h of `negatives` to be sure"
    ]


def test_the_floor_follows_the_tail_of_the_peaks():
    """Of exponential peaks, one an e-th as often a logit higher, the floor gives the wished rate."""
    rng = np.random.default_rng(3)
    expected, found = 0.2, []
    for _ in range(200):
        logits = np.sort(rng.exponential(1.0, 300))[::-1] - 4
        peaks = 1 / (1 + np.exp(-logits))
        floor = lowest_unshown(peaks, expected)
        assert floor > peaks[0]
        found.append(300 * np.exp(-4 - np.log(floor / (1 - floor))))  # false accepts to be expected
    assert 0.7 * expected < np.median(found) < 1.4 * expected
    assert (
        lowest_unshown(peaks / 100, expected)
        == THRESHOLD_FLOOR
        > lowest_unshown(peaks / 100, expected, 0.0)
        > 0.01 * peaks[0]
    )
    assert lowest_unshown(1 / (1 + np.exp(np.arange(20.0))), 0.01) == HIGHEST_BEYOND
    assert lowest_unshown(np.full(TAIL_PEAKS, 1e-3), expected) == THRESHOLD_FLOOR
    assert lowest_unshown(np.zeros(1), expected) == THRESHOLD_FLOOR == lowest_unshown(peaks, 1.0)
    assert (
        lowest_unshown(np.ones(20), expected) == 1.0
        and lowest_unshown(np.zeros(20), expected) == THRESHOLD_FLOOR
    )


def test_hardly_any_hit_is_warned_of():
    positives = [clip(0.95, 0.0), clip(0.7, 0.0), clip(0.55, 0.0), clip(0.0, 0.31), clip(0.9, 0.2)]
    scores = DevScores(positives, (0, 0, 0, 1, 1), NEGATIVES, 1.0)
    point, misses, doubts = choose(scores, 0.5)
    assert point.thresholds["a"] > 0.9 and point.thresholds["b"] >= THRESHOLD_FLOOR and misses["b"] == 1
    assert unusable({**misses, "c": float("nan")}) == ["b"]
    few, of_a, of_b = doubts
    assert few.startswith("WARNING: 1 h of speech without the keyword show no rate below 3")
    assert of_a.startswith("WARNING: a: ") and "of no use" not in of_a
    assert of_b.startswith("WARNING: b: 100 % of the dev recordings are missed at its threshold; it is of no")


def test_smoothing_and_refractory_time_are_those_of_the_device():
    negatives = stream((1000, 0, 0.9), (1001, 0, 0.9), (1020, 0, 0.9))
    scores = DevScores([clip(0.95, 0.0)], (0,), negatives, 3.0)

    def threshold(rate: float, **more: float) -> float:
        point = choose(scores, rate, smoothing_frames=2, **more)[0]
        return point.thresholds["a"]

    # the second burst lies within the refractory time: one false accept
    assert threshold(1.0, proven_per_hour=0.1) < 0.05
    tenth = choose(DevScores([], (), negatives, 1.0), 1.0, 2, 0.1, proven_per_hour=0.1)[0]
    assert 0.455 < tenth.thresholds["a"] < 0.47  # the lone frame, smoothed over two: (0.9 + 0.01) / 2
    point, misses, _ = choose(scores, 0.3, smoothing_frames=2, proven_per_hour=0.1)
    assert 0.9 < point.thresholds["a"] < 0.91 and misses["a"] == 1  # 0.95 smoothed is 0.48
    assert point.decision == DecisionSettings(0.3, 2)
    assert dev(scores, 0.3, smoothing_frames=2)["a"] == 1


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


def test_false_accepts_are_counted_as_decide_does_at_each_threshold():
    generator = np.random.default_rng(4)
    negatives = generator.beta(0.3, 3, (9000, 2)).astype(np.float32)
    settings = DecisionSettings(smoothing_frames=2, refractory_s=0.4)
    scores = DevScores([], (), negatives, hours=0.1)
    counts = false_accept_counts(scores, ("one", "two"), hop_samples=640, settings=settings)
    assert list(counts) == ["one", "two"]
    for column, (keyword, found) in enumerate(counts.items()):
        thresholds = [threshold for threshold, _ in found]
        assert thresholds == sorted(set(thresholds)) and 1 < len(found) <= 60
        assert found[-1][1] == 0 and found[0][1] >= 4
        for threshold, events in found:
            config = settings.at([threshold])
            detections, _ = decide(negatives[:, column : column + 1], (keyword,), config, 0.04)
            assert len(detections) == events


def test_nothing_is_counted_where_nothing_was_heard():
    nothing = DevScores([], (), np.zeros((0, 1), np.float32), hours=0.0)
    settings = DecisionSettings()
    assert false_accept_counts(nothing, ("one",), hop_samples=640, settings=settings) == {"one": []}
