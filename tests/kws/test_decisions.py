"""Detections from scores: cases worked by hand, a frame-by-frame reference, and any chunking of a stream."""

from __future__ import annotations

import time

import numpy as np
import pytest

from kws.decisions import DecisionConfig, Detection, decide
from kws.errors import CheckpointError, ConfigError

HOP_S = 0.04


def column(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def frames(values: list[float], config: DecisionConfig, hop_s: float = HOP_S) -> list[int]:
    return [detection.frame for detection in decide(column(values), ["go"], config, hop_s)[0]]


def reference(
    scores: np.ndarray, keywords: list[str], config: DecisionConfig, hop_s: float
) -> list[tuple[str, int]]:
    """The rule of `decide` said frame by frame, as a person would read it."""
    fired = []
    armed, below_since, fired_at = [True] * len(keywords), [True] * len(keywords), [0] * len(keywords)
    for frame in range(len(scores)):
        for index, keyword in enumerate(keywords):
            first = max(0, frame - config.smoothing_frames + 1)
            smoothed = scores[first : frame + 1, index].astype(np.float64).sum() / config.smoothing_frames
            above = smoothed >= config.thresholds[index]
            if not armed[index]:
                below_since[index] = below_since[index] or not above
                passed = (frame - fired_at[index]) * hop_s >= config.refractory_s - 1e-9
                armed[index] = below_since[index] and passed
            if armed[index] and above:
                fired.append((keyword, frame))
                armed[index], below_since[index], fired_at[index] = False, False, frame
    return fired


def test_a_burst_of_twenty_frames_is_one_detection_at_its_first_frame():
    scores = column([0.1] * 10 + [0.9] * 20 + [0.1] * 10)
    detections, _ = decide(scores, ["go"], DecisionConfig((0.5,), refractory_s=0.2), HOP_S)
    assert detections == [Detection("go", pytest.approx(0.9), pytest.approx(0.44), 10)]


def test_a_score_equal_to_the_threshold_fires():
    assert frames([0.25, 0.5, 0.25], DecisionConfig((0.5,))) == [1]


def test_refractory_time_hides_a_second_burst_and_ends_on_its_frame():
    config = DecisionConfig((0.5,), refractory_s=0.2)  # five frames
    assert frames([1, 0, 0, 1, 0, 0], config) == [0]
    assert frames([1, 0, 0, 0, 0, 1], config) == [0, 5]


def test_a_burst_that_outlasts_the_refractory_time_fires_when_it_is_over():
    assert frames([1, 0, 0, 1, 1, 1, 1], DecisionConfig((0.5,), refractory_s=0.2)) == [0, 5]


def test_the_refractory_time_of_a_hidden_burst_is_not_started_again():
    assert frames([1, 0, 0, 1, 0, 0, 1], DecisionConfig((0.5,), refractory_s=0.2)) == [0, 6]


def test_without_refractory_time_each_burst_fires():
    assert frames([1, 0, 1, 1, 0, 1], DecisionConfig((0.5,), refractory_s=0.0)) == [0, 2, 5]


def test_smoothing_counts_silence_before_the_start_and_delays_a_burst():
    config = DecisionConfig((0.6,), smoothing_frames=3, refractory_s=0.0)
    assert frames([1, 1, 1, 0, 0], config) == [1]  # averages 1/3, 2/3, 1, 2/3, 1/3
    assert frames([1, 0, 1, 0, 1], config) == [2, 4]  # averages 1/3, 1/3, 2/3, 1/3, 2/3
    detections, _ = decide(column([1, 1, 1]), ["go"], config, HOP_S)
    assert detections[0].score == pytest.approx(2 / 3)


def test_one_second_at_40_ms_is_25_frames():
    scores = [1] + [0] * 24 + [1] + [0] * 3
    assert frames(scores, DecisionConfig((0.5,), refractory_s=1.0)) == [0, 25]


def test_keywords_have_their_own_thresholds_and_are_sorted_by_frame():
    scores = np.array([[0.4, 0.0], [0.4, 0.7], [0.6, 0.9]])
    detections, _ = decide(scores, ["a", "b"], DecisionConfig((0.5, 0.6)), HOP_S)
    assert [(detection.keyword, detection.frame) for detection in detections] == [("b", 1), ("a", 2)]


@pytest.mark.parametrize("seed", range(30))
def test_any_chunking_gives_what_the_frame_by_frame_rule_gives(seed: int):
    rng = np.random.default_rng(seed)
    num_keywords = int(rng.integers(1, 4))
    raw = rng.random((400, num_keywords))
    scores = np.clip(np.cumsum(raw - 0.5, axis=0) * 0.2 % 1.2, 0, 1).astype(
        np.float32
    )  # bursts of all lengths
    keywords = [f"k{index}" for index in range(num_keywords)]
    config = DecisionConfig(
        thresholds=tuple(rng.uniform(0.2, 0.9, num_keywords)),
        smoothing_frames=int(rng.integers(1, 6)),
        refractory_s=float(rng.choice([0.0, 0.04, 0.2, 0.5, 1.0])),
    )
    whole, _ = decide(scores, keywords, config, HOP_S)
    assert [(d.keyword, d.frame) for d in whole] == reference(scores, keywords, config, HOP_S)
    assert whole, "the case must fire to say anything"
    cuts = np.sort(
        rng.integers(0, len(scores) + 1, int(rng.integers(1, 120)))
    )  # repeated cuts are empty chunks
    state, streamed = None, []
    for chunk in np.split(scores, cuts):
        detections, state = decide(chunk, keywords, config, HOP_S, state)
        streamed += detections
    assert streamed == whole


def test_a_state_may_be_used_twice():
    config = DecisionConfig((0.5,), smoothing_frames=2)
    _, state = decide(column([0.2, 0.9]), ["go"], config, HOP_S)
    first, _ = decide(column([0.9, 0.9]), ["go"], config, HOP_S, state)
    again, _ = decide(column([0.9, 0.9]), ["go"], config, HOP_S, state)
    assert first == again and len(first) == 0  # (0.2 + 0.9) / 2 fired already


def test_ten_hours_are_decided_in_a_fraction_of_a_second():
    rng = np.random.default_rng(0)
    scores = rng.random((900_000, 1)).astype(np.float32)  # 450 000 runs at a threshold of 0.5
    begin = time.process_time()
    detections, _ = decide(scores, ["go"], DecisionConfig((0.5,), smoothing_frames=4), HOP_S)
    assert 30_000 < len(detections) <= 36_000  # at most one a second
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thresholds": (float("nan"),)}, "thresholds: got"),
        ({"thresholds": (0.5,), "smoothing_frames": 0}, "smoothing_frames: got 0"),
        ({"thresholds": (0.5,), "refractory_s": -1.0}, "refractory_s: got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(arguments: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        DecisionConfig(**arguments)


def test_shapes_that_do_not_fit_are_refused():
    config = DecisionConfig((0.5,))
    with pytest.raises(ConfigError, match=r"shape \(3,\), expected \(frames, 1\)"):
        decide(np.zeros(3), ["go"], config, HOP_S)
    with pytest.raises(ConfigError, match="1 thresholds for 2 keywords"):
        decide(np.zeros((3, 2)), ["go", "stop"], config, HOP_S)
    with pytest.raises(CheckpointError, match="NaN"):
        decide(column([float("nan")]), ["go"], config, HOP_S)
    _, state = decide(column([0.0]), ["go"], config, HOP_S)
    with pytest.raises(ConfigError, match="state=None"):
        decide(column([0.0]), ["go"], DecisionConfig((0.5,), smoothing_frames=3), HOP_S, state)
