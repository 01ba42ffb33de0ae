"""Detections from scores: cases worked by hand, a frame-by-frame reference, and any chunking of a stream."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decisions import DecisionConfig, DecisionSettings, Detection, decide, smooth
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
    fired: list[tuple[str, int]] = []
    rise = ["none"] * len(keywords)  # none, waiting, spent
    for frame in range(len(scores)):
        averages = []
        for last in range(frame - config.patience + 1, frame + 1):
            first = max(0, last - config.smoothing_frames + 1)
            heard = scores[first : max(0, last + 1)].astype(np.float64)
            averages.append(heard.sum(axis=0) / config.smoothing_frames)
        smoothed = np.min(averages, axis=0)

        def swallowed(index: int, frame: int = frame) -> bool:
            for keyword, at in fired:
                own_s = (config.refractory_by_keyword or (config.refractory_s,) * len(keywords))[index]
                apart_s = own_s if keyword == keywords[index] else config.compete_s
                if (frame - at) * hop_s < apart_s - 1e-9:
                    return True
            return False

        up = [index for index in range(len(keywords)) if smoothed[index] >= config.thresholds[index]]
        for index in range(len(keywords)):
            if index not in up:
                rise[index] = "none"
            elif rise[index] == "none":
                rise[index] = "spent" if swallowed(index) else "waiting"
        if config.compete_s == 0:
            leaders = up
        else:
            leaders = sorted(up, key=lambda i: logit(config.thresholds[i]) - logit(smoothed[i]))[:1]
        for index in leaders:
            if rise[index] == "waiting":
                fired.append((keywords[index], frame))
                rise = ["spent" if config.compete_s and r == "waiting" else r for r in rise]
                rise[index] = "spent"
    return fired


def logit(score: float) -> float:
    inside = min(max(score, 1e-7), 1 - 1e-7)
    return math.log(inside) - math.log1p(-inside)


def test_patience_fires_in_the_frame_that_confirms_and_with_the_least_of_the_scores():
    patient = DecisionConfig((0.5,), refractory_s=0.0, patience=3)
    assert frames([0, 0.9, 0.6, 0.8, 0.8, 0], patient) == [3]
    assert frames([0.9, 0.9, 0, 0.9, 0.9, 0], patient) == []
    assert frames([0.9, 0.9, 0.9], patient) == [2]  # before the start there is silence
    detections, _ = decide(column([0, 0.9, 0.6, 0.8]), ["go"], patient, HOP_S)
    assert detections[0].score == pytest.approx(0.6)
    smoothed = DecisionConfig((0.5,), smoothing_frames=2, refractory_s=0.0, patience=2)
    assert frames([0, 1, 0.2, 0.9, 0], smoothed) == [2]  # averages 0, 0.5, 0.6, 0.55, 0.45


def test_a_patience_of_one_changes_no_bit():
    scores = np.random.default_rng(1).random((500, 2)).astype(np.float32)
    for smoothing_frames in (1, 3):
        before = np.zeros((smoothing_frames - 1, 2))
        padded = np.concatenate([before, scores])
        total = padded[: len(scores)].copy()
        for offset in range(1, smoothing_frames):
            total += padded[offset : offset + len(scores)]
        np.testing.assert_array_equal(smooth(scores, before), total / smoothing_frames)


def test_each_keyword_may_have_its_own_refractory_time():
    scores = [(0.9, 0.9), (0, 0), (0.9, 0.9), (0, 0), (0, 0), (0.9, 0.9)]
    config = DecisionConfig((0.5, 0.5), refractory_by_keyword=(0.08, 0.2), compete_s=0)
    assert two(scores, config) == [("a", 0), ("b", 0), ("a", 2), ("a", 5), ("b", 5)]
    turns = [(0.9, 0), (0, 0), (0.9, 0), (0, 0.9), (0, 0), (0, 0.9)]
    config = DecisionConfig((0.5, 0.5), refractory_by_keyword=(0.08, 0.2), compete_s=0.04)
    assert two(turns, config) == [("a", 0), ("a", 2), ("b", 3)]


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


def test_a_rise_that_begins_within_the_refractory_time_never_fires():
    config = DecisionConfig((0.5,), refractory_s=0.2)
    assert frames([1, 0, 0, 1, 1, 1, 1, 1, 1], config) == [0]
    assert frames([1, 0, 0, 1, 1, 1, 1, 0, 1], config) == [0, 8]


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
    detections, _ = decide(scores, ["a", "b"], DecisionConfig((0.5, 0.6), compete_s=0), HOP_S)
    assert [(detection.keyword, detection.frame) for detection in detections] == [("b", 1), ("a", 2)]


def two(scores: list[tuple[float, float]], config: DecisionConfig) -> list[tuple[str, int]]:
    detections, _ = decide(np.array(scores), ["a", "b"], config, HOP_S)
    return [(detection.keyword, detection.frame) for detection in detections]


def test_of_look_alikes_the_one_furthest_above_its_threshold_fires():
    config = DecisionConfig((0.5, 0.6), compete_s=0.2)  # five frames
    assert two([(0.55, 0.9), (0.9, 0.95), (0.0, 0.0)], config) == [("b", 0)]
    assert two([(0.55, 0.61)], config) == [("a", 0)]  # nearer to its threshold, though the score is higher
    assert two([(0.6, 0.0), (0.6, 0.9), (0.0, 0.9)], config) == [("a", 0)]  # the first that is there
    assert two([(0.6, 0), (0, 0), (0, 0), (0, 0.9), (0, 0.9), (0, 0.9)], config) == [("a", 0)]
    assert two([(0.6, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0.9)], config) == [("a", 0), ("b", 5)]


def test_a_rise_waits_while_another_keyword_is_ahead():
    config = DecisionConfig((0.5, 0.5), compete_s=0.08)
    ahead = [(0.9, 0.0)] * 3
    assert two([*ahead, (0.9, 0.8), (0.9, 0.8), (0.7, 0.8)], config) == [("a", 0), ("b", 5)]
    assert two([*ahead, (0.9, 0.8), (0.9, 0.8), (0.9, 0.0)], config) == [("a", 0)]


@given(data=st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_chunking_gives_what_the_frame_by_frame_rule_gives(data: st.DataObject):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    num_keywords = data.draw(st.integers(1, 4))
    raw = rng.random((data.draw(st.integers(0, 120)), num_keywords))
    bursts = np.cumsum(raw - 0.5, axis=0) * data.draw(st.sampled_from([0.1, 0.3, 2.0])) % 1.2
    scores = np.clip(bursts, 0, 1).astype(np.float32)
    keywords = [f"k{index}" for index in range(num_keywords)]
    config = DecisionConfig(
        thresholds=tuple(rng.uniform(0.2, 0.9, num_keywords)),
        smoothing_frames=data.draw(st.integers(1, 4)),
        refractory_s=data.draw(st.sampled_from([0.0, 0.04, 0.2, 0.5, 1.0])),
        compete_s=data.draw(st.sampled_from([0.0, 0.04, 0.1, 0.5])),
        patience=data.draw(st.sampled_from([1, 1, 2, 3])),
        refractory_by_keyword=data.draw(
            st.sampled_from([(), tuple(rng.choice([0.0, 0.08, 0.5], num_keywords).tolist())])
        ),
    )
    whole, _ = decide(scores, keywords, config, HOP_S)
    assert [(d.keyword, d.frame) for d in whole] == reference(scores, keywords, config, HOP_S)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(scores)), max_size=60)))  # repeated: empty chunks
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
    assert 28_000 < len(detections) <= 36_000  # at most one a second
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thresholds": (float("nan"),)}, "thresholds: got"),
        ({"thresholds": (0.5,), "smoothing_frames": 0}, "smoothing_frames: got 0"),
        ({"thresholds": (0.5,), "refractory_s": -1.0}, "refractory_s: got -1.0"),
        ({"thresholds": (0.5,), "compete_s": math.inf}, "compete_s: got inf"),
        ({"thresholds": (0.5,), "patience": 0}, "patience: got 0, expected 1 frame or more"),
        ({"thresholds": (0.5,), "refractory_by_keyword": (-1.0,)}, "refractory_s: got -1.0"),
        ({"thresholds": (0.5,), "refractory_by_keyword": (1.0, 2.0)}, "2 refractory times for 1 thresholds"),
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


def test_settings_become_what_decide_takes():
    settings = DecisionSettings(0.2, 3, 0.7, 0.1, 0.4)
    assert settings.at([0.5, 0.6]) == DecisionConfig((0.5, 0.6), 3, 0.7, 0.1)
    assert hash(settings) == hash(DecisionSettings(0.2, 3, 0.7, 0.1, 0.4))
    for name, value, message in (
        ("false_accepts_per_hour", 0.0, "got 0.0, allowed: a number above 0"),
        ("smoothing_frames", 0, "got 0, expected 1"),
        ("refractory_s", -1.0, "got -1.0, expected 0 or more seconds"),
        ("compete_s", float("nan"), "got nan, expected 0 or more seconds"),
        ("threshold_floor", 1.5, "got 1.5, allowed: 0 to 1"),
    ):
        with pytest.raises(ConfigError, match=f"{name}: {message}"):
            DecisionSettings(**{name: value})
