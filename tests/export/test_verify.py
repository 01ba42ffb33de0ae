"""The comparison itself: what it must notice, and what rounding must not decide."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export import signals, verify
from kws.checkpoint import load_model
from tests.export.conftest import Exported


def test_the_right_model_passes_and_detections_are_compared(exported: Exported):
    path = exported("conv")
    parity = verify.compare(load_model(path.parent), path)
    assert parity.ok
    assert parity.num_detections >= 5
    assert {entry.signal for entry in parity.signals} == set(verify.make_signals(1280))


@pytest.mark.parametrize(
    "part", ["encoder.frontend.scale", "encoder.layers.0.depthwise.conv.weight", "head.second.conv.bias"]
)
def test_a_model_that_differs_in_one_place_fails(exported: Exported, part: str):
    path = exported("conv")
    model = load_model(path.parent)
    with torch.no_grad():
        model.state_dict()[part].add_(0.05)
    parity = verify.compare(model, path)
    assert not parity.ok
    assert not parity.worst().ok


def test_scores_that_hide_near_zero_do_not_hide_another_encoder(exported: Exported):
    path = exported("conv")
    model, session = load_model(path.parent), verify.open_session(path)
    waveform = signals.speech_like(0.8)
    scores, state = verify.run_onnx(session, [waveform])
    with torch.no_grad():
        model.encoder.layers[0].expand.weight.mul_(1.2)
        _, other = model.run(torch.from_numpy(waveform)[None], model.initial_state(1))
    difference = verify._state_difference([tensor.numpy() for tensor in other], state)
    assert difference > verify.STATE_TOLERANCE


def test_a_missing_state_or_another_shape_is_no_match():
    ones = np.ones((1, 2), np.float32)
    assert verify._state_difference([ones], [ones]) == 0
    assert np.isnan(verify._state_difference([ones], [ones, ones]))
    assert np.isnan(verify._difference(ones, np.ones((1, 3), np.float32)))
    entry = verify.SignalParity("speech", 1.0, "whole", float("nan"), 0.0, 0, True)
    assert not entry.ok and not verify.Parity((entry,)).ok
    assert np.isnan(verify.Parity((entry,)).max_score_difference)


def test_scores_within_the_limit_are_not_enough_where_detections_differ():
    assert verify.SignalParity("speech", 1.0, "whole", 0.0, 0.0, 3, True).ok
    assert not verify.SignalParity("speech", 1.0, "whole", 0.0, 0.0, 3, False).ok


def test_a_detection_that_the_file_alone_gives_is_no_match(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
):
    path = exported("conv")
    monkeypatch.setattr(verify.Detector, "process", lambda self, pcm: [])
    parity = verify.compare(load_model(path.parent), path)
    assert parity.max_score_difference < verify.SCORE_TOLERANCE and not parity.ok


def test_a_threshold_on_a_score_is_moved_off_it_and_no_other_is():
    values = np.array([0.2, 0.5, 0.5 + 1e-5, 0.9])
    assert verify._clear_of(values, 0.4) == 0.4
    moved = verify._clear_of(values, 0.5)
    assert np.abs(values - moved).min() > verify.SCORE_TOLERANCE
    assert abs(moved - 0.5) < 4 * verify.SCORE_TOLERANCE


def test_signals_are_whole_chunks_repeatable_and_loud_enough():
    first, second = verify.make_signals(2560), verify.make_signals(2560)
    for name, waveform in first.items():
        assert len(waveform) % 2560 == 0 and waveform.dtype == np.float32
        assert 0.01 < np.abs(waveform).max() <= 1
        np.testing.assert_array_equal(waveform, second[name])
    speech = signals.speech_like(8.0)
    loudness = np.sqrt(np.square(speech).reshape(-1, 1600).mean(axis=1))  # of 100 ms
    assert np.quantile(loudness, 0.9) > 10 * np.quantile(loudness, 0.05), "syllables and pauses"
