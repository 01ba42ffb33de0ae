"""Misses and false accepts on event lists made by hand, and against `decide` threshold by threshold."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from kws.decisions import DecisionConfig, decide
from kws.errors import ConfigError
from kws.evaluation.metrics import (
    HIGHEST_FALSE_ACCEPTS_PER_HOUR,
    Events,
    choose_threshold,
    hits,
    just_above,
    latency,
    pack,
    sweep,
)

HOP_S = 0.04
CONFIG = DecisionConfig((0.5,), refractory_s=1.0)


def clip(*bursts: tuple[int, int, float], frames: int = 100, floor: float = 0.01) -> np.ndarray:
    """Scores with bursts (first frame, length, score)."""
    scores = np.full(frames, floor, np.float32)
    for first, length, score in bursts:
        scores[first : first + length] = score
    return scores


def random_stream(seed: int, frames: int, bias: float = -4.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = np.convolve(rng.normal(0, 1, frames + 7), np.ones(8) / np.sqrt(8), "valid") * 2 + bias
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def count(scores: np.ndarray, threshold: float, config: DecisionConfig) -> int:
    at = replace(config, thresholds=(threshold,))
    return len(decide(scores[:, None], ["go"], at, HOP_S)[0])


def test_a_burst_of_twenty_frames_is_one_false_accept():
    result = sweep([clip()], [clip((10, 20, 0.9))], 2.0, CONFIG, HOP_S, thresholds=[0.5])
    assert result.num_false_accepts.tolist() == [1]
    assert result.point(0).false_accepts.per_hour == 0.5


def test_bursts_within_the_refractory_time_are_one_and_streams_count_apart():
    streams = [clip((10, 5, 0.9), (20, 5, 0.9), (60, 5, 0.9)), clip((0, 5, 0.9))]
    result = sweep([clip()], streams, 1.0, CONFIG, HOP_S, thresholds=[0.5])
    assert result.num_false_accepts.tolist() == [3]


def test_a_miss_at_a_known_threshold():
    positives = [clip((50, 4, peak)) for peak in (0.2, 0.5, 0.9)]
    result = sweep(positives, [clip()], 1.0, CONFIG, HOP_S, thresholds=[0.1, 0.2, 0.5, just_above(0.5), 0.95])
    assert result.num_missed.tolist() == [0, 0, 1, 2, 3]
    assert result.point(2).misses.rate == pytest.approx(1 / 3)


def test_what_fires_before_the_phrase_is_no_hit():
    early, late, both = clip((5, 3, 0.9)), clip((50, 3, 0.9)), clip((5, 3, 0.9), (50, 3, 0.9))
    always_on = clip((0, 100, 0.9))
    result = sweep(
        [early, late, both, always_on],
        [clip()],
        1.0,
        CONFIG,
        HOP_S,
        first_frames=[40] * 4,
        thresholds=[0.5],
    )
    assert result.num_missed.tolist() == [2]
    events = pack([early, late, both, always_on], CONFIG, HOP_S).fire(0.5)
    assert events.frames.tolist() == [5, 50, 5, 50, 0]
    assert hits(events, [40] * 4).owners.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("smoothing_frames", "refractory_s", "patience"), [(1, 1.0, 1), (3, 0.5, 1), (2, 0.0, 1), (2, 0.5, 3)]
)
def test_sweep_counts_what_decide_counts(smoothing_frames: int, refractory_s: float, patience: int):
    config = DecisionConfig((0.5,), smoothing_frames, refractory_s, patience=patience)
    streams = [random_stream(0, 4000), random_stream(1, 31), random_stream(2, 3000, bias=-1.0)]
    positives = [random_stream(seed, 20 + seed, bias=-3.0) for seed in range(3, 43)]
    result = sweep(positives, streams, 0.078, config, HOP_S, include=[0.02, 0.3, 1.0])
    assert 50 < len(result.thresholds) <= 303
    for index in range(0, len(result.thresholds), 3):
        threshold = float(result.thresholds[index])
        assert result.num_false_accepts[index] == sum(count(stream, threshold, config) for stream in streams)
        assert result.num_missed[index] == sum(count(scores, threshold, config) == 0 for scores in positives)


def test_thresholds_of_the_sweep_reach_every_small_number_of_false_accepts():
    stream = random_stream(0, 90_000, bias=-5.0)  # an hour
    result = sweep([random_stream(1, 50)], [stream], 1.0, CONFIG, HOP_S)
    assert set(range(20)) <= set(result.num_false_accepts.tolist())
    assert 80 <= result.num_false_accepts.max() <= HIGHEST_FALSE_ACCEPTS_PER_HOUR


def test_thresholds_at_which_bursts_merge_are_not_chosen():
    # Below 0.4 the three bursts are one long one: fewer false accepts, and yet no place to be.
    stream = clip((0, 100, 0.4), (5, 3, 0.8), (40, 3, 0.8), (80, 3, 0.8), frames=100)
    positives = [clip((50, 3, 0.7)), clip((50, 3, 0.9))]
    result = sweep(positives, [stream], 1.0, CONFIG, HOP_S, thresholds=[0.3, 0.6, 0.85])
    assert result.num_false_accepts.tolist() == [1, 3, 0]
    point = result.miss_rate_at(1.0)
    assert point is not None
    assert (point.threshold, point.misses.events) == (0.85, 1)
    assert [(each.false_accepts.events, each.misses.events) for each in result.points()] == [(0, 1), (3, 0)]
    assert choose_threshold([stream], 1.0, 1.0, CONFIG, HOP_S).threshold == pytest.approx(0.8, abs=1e-3)
    assert sweep(positives, [stream], 1.0, CONFIG, HOP_S, thresholds=[0.3, 0.6]).miss_rate_at(1.0) is None


@pytest.mark.parametrize("smoothing_frames", [1, 3])
@pytest.mark.parametrize("target", [0.1, 2.0, 10.0])
def test_choose_threshold_is_the_lowest_that_keeps_to_the_rate(smoothing_frames: int, target: float):
    config = DecisionConfig((0.5,), smoothing_frames, 1.0)
    hours = 0.5
    stream = random_stream(7, 45_000, bias=-4.0)
    choice = choose_threshold([stream], hours, target, config, HOP_S)
    assert choice.false_accepts.events == count(stream, choice.threshold, config) <= target * hours
    # A little lower, where the next score lies, there are too many.
    track = pack([stream], config, HOP_S, 0.05)
    below = float(track.values[track.values < choice.threshold].max())
    lower = [count(stream, float(value), config) for value in np.linspace(below - 2e-3, below, 40)]
    assert max(lower) > target * hours


def test_few_hours_are_told():
    quiet = clip((10, 3, 0.3), frames=1000)
    few = choose_threshold([quiet], 2.0, 0.5, CONFIG, HOP_S)
    assert not few.resolved
    assert few.reason == "2 h of negatives are too few to show 0.5 per hour; give 6 h or more"
    enough = choose_threshold([quiet], 6.0, 0.5, CONFIG, HOP_S)
    assert enough.resolved
    assert enough.false_accepts.events <= 3


def test_saturated_scores_are_told():
    stuck = clip(*((first, 3, 1.0) for first in range(0, 900, 50)), frames=1000)
    choice = choose_threshold([stuck], 10.0, 0.5, CONFIG, HOP_S)
    assert choice.threshold == 1.0
    assert choice.reason is not None
    assert "even the highest threshold gives 18 false accepts in 10 h" in choice.reason


def test_choice_needs_a_target_and_hours():
    with pytest.raises(ConfigError, match="false accepts per hour: got 0"):
        choose_threshold([clip()], 1.0, 0.0, CONFIG, HOP_S)
    with pytest.raises(ConfigError, match="0 hours"):
        choose_threshold([clip()], 0, 0.5, CONFIG, HOP_S)
    with pytest.raises(ConfigError, match="0 events of 0 trials"):
        sweep([], [clip()], 1.0, CONFIG, HOP_S)


def test_a_track_refuses_thresholds_below_its_floor():
    with pytest.raises(ConfigError, match="below the floor 0.4"):
        pack([clip()], CONFIG, HOP_S, 0.4).fire(0.3)


@pytest.mark.parametrize("score", [0.0, 1e-7, 0.3, np.float32(0.7), 0.9999999])
def test_just_above_rejects_the_score_and_little_more(score: float):
    above = just_above(score)
    assert score < above <= 1.0
    assert above - score < 1e-3


def test_latency_is_from_the_end_of_the_phrase_to_the_first_detection():
    events = Events(np.array([0, 0, 2, 3]), np.array([24, 80, 29, 49]), np.ones(4))
    result = latency(events, [1.1, 0.0, 1.0, 1.6], HOP_S)  # fired at 1.0, 1.2 and 2.0 s
    assert result is not None
    assert result.num_clips == 3
    assert result.p50_s == pytest.approx(0.2)
    assert result.p95_s == pytest.approx(0.38)  # between 0.2 and 0.4
    assert latency(Events(*(np.zeros(0, np.int64),) * 3), [1.0], HOP_S) is None


def test_ten_hours_at_three_hundred_thresholds_take_seconds():
    stream = random_stream(11, 900_000, bias=-6.0)
    positives = [random_stream(seed, 75, bias=0.0) for seed in range(300)]
    start = time.process_time()
    result = sweep(positives, [stream], 10.0, CONFIG, HOP_S)
    assert len(result.thresholds) > 250
    assert time.process_time() - start < 5
