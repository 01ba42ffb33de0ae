"""Scores of long audio in rows, and the windows in which a model wrongly fires."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kws.audio import SAMPLE_RATE, to_int16
from kws.training import scan
from tests.support.training import HOP_SAMPLES, LoudnessModel, noise, store, tiny_model, tone
from tests.tolerances import PADDED


def hard(waveform: np.ndarray, max_hours: float = 1.0, seed: int = 0) -> list[int]:
    model = LoudnessModel()
    return scan.hard_windows(model, store(waveform), 2 * SAMPLE_RATE, max_hours, (seed, 1)).tolist()


def test_planted_windows_are_found_the_worst_first():
    waveform = noise(300, level=0.001)
    for place_s, level in ((30, 0.3), (133, 0.9), (230, 0.1)):
        waveform[place_s * SAMPLE_RATE : place_s * SAMPLE_RATE + 100] = level
    ends = hard(waveform)
    assert [end // SAMPLE_RATE for end in ends] == [133, 30, 230]
    assert ends[0] - 133 * SAMPLE_RATE == pytest.approx(2 * HOP_SAMPLES, abs=HOP_SAMPLES)


def test_windows_that_teach_nothing_are_not_mined():
    assert hard(noise(60, level=0.001)) == []
    assert hard(np.zeros(0, np.float32)) == []


def test_the_number_of_windows_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scan, "MAX_HARD", 7)
    assert len(hard(np.full(60 * SAMPLE_RATE, 0.5, np.float32))) == 7


def test_the_hours_searched_are_bounded_and_drawn_from_the_seed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scan, "SEARCHED_S", 24.0)
    waveform = np.full(240 * SAMPLE_RATE, 0.5, np.float32)  # ten pieces
    places = [{end // (24 * SAMPLE_RATE) for end in hard(waveform, 0.01, seed)} for seed in range(4)]
    assert {len(place) for place in places} == {2}  # 36 s
    assert len({frozenset(place) for place in places}) > 1
    assert hard(waveform, 0.01, 3) == hard(waveform, 0.01, 3)


def test_rows_are_scored_as_streams_that_start_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scan, "ROW_S", 1.0)
    model = tiny_model(("a", "b")).eval()
    samples = to_int16(noise(3.3, level=0.1))
    scores = scan.score_rows(model, samples)
    assert scores.shape == (int(3.3 * 25), 2)
    row = torch.from_numpy(samples[SAMPLE_RATE : 2 * SAMPLE_RATE] / np.float32(32768))[None]
    np.testing.assert_allclose(scores[25:50], model.scores(row)[0].numpy(), atol=PADDED, rtol=0)
    assert scan.score_rows(model, samples[:0]).shape == (0, 2)
    limited = scan.score_stream(model, store(noise(3.3, level=0.1)), 2 / 3600)
    np.testing.assert_allclose(limited, scores[:50], atol=PADDED, rtol=0)


def test_clips_are_scored_with_a_tail_in_which_late_scores_are_seen():
    clips = scan.score_clips(LoudnessModel(), [tone(0.4, level=0.5), noise(0.8, level=0.0)])
    assert [clip.shape for clip in clips] == [(25, 1), (35, 1)]
    assert (clips[0][:10] > 0.4).all() and (clips[0][10:] == 0).all()


@pytest.mark.gpu
def test_a_model_on_a_gpu_is_scored_there():
    on_cpu, on_gpu = tiny_model().eval(), tiny_model().eval().cuda()
    clip = noise(1.0)
    found = scan.score_clips(on_gpu, [clip])[0]
    np.testing.assert_allclose(found, scan.score_clips(on_cpu, [clip])[0], atol=1e-3)
