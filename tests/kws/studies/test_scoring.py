"""Test audio kept on disk, scored by a real exported file, and read at rates of false accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.decisions import DecisionConfig
from kws.studies import held_out, scoring
from tests.support.onnx_models import silence, tone, write_tone_model


def pcm(*pieces: np.ndarray) -> np.ndarray:
    return audio.to_int16(np.concatenate(pieces))


@pytest.fixture
def unseen(tmp_path: Path) -> held_out.UnseenAudio:
    """Three clips, the second silent, in noise the third too; one tone in 36 s without the keyword."""
    heard, empty = pcm(silence(0.4), tone(1000, 0.5)), pcm(silence(0.5))
    clips = {"clean": [heard, empty, heard], "noise": [heard, empty, empty]}
    held_out.save_clips(tmp_path, "tone", clips, ["anna", "bert", "anna"])
    held_out.save_negatives(tmp_path, pcm(silence(20), tone(1000, 1.0), silence(15)), 16_000 * 9)
    return held_out.load_test_audio(tmp_path, "tone")


def test_audio_is_kept_as_it_is(unseen: held_out.UnseenAudio, tmp_path: Path):
    assert [len(clip) for clip in unseen.positives["noise"]] == [14_400, 8_000, 8_000]
    assert unseen.positives["clean"][2].max() > 16_000 and not unseen.positives["clean"][1].any()
    assert (unseen.hours, unseen.original_hours) == pytest.approx((36 / 3600, 9 / 3600))
    assert isinstance(unseen.negatives, np.memmap)
    assert held_out.load_speakers(tmp_path, "tone") == ["anna", "bert", "anna"]
    assert held_out.is_saved(tmp_path, "tone") and not held_out.is_saved(tmp_path, "word")


def test_a_late_tone_is_heard_and_each_clip_starts_anew(unseen: held_out.UnseenAudio, tmp_path: Path):
    model = write_tone_model(tmp_path / "tone.onnx")
    positives, negatives, hop_s = scoring.detector_scores(model, unseen)
    assert hop_s == 0.04 and len(negatives) == 900
    assert [bool(scores.max() > 0.9) for scores in positives["clean"]] == [True, False, True]
    assert 20 < np.flatnonzero(negatives > 0.9)[0] * hop_s + hop_s < 20.2
    assert positives["clean"][0].tolist() == positives["clean"][2].tolist()


def test_silence_comes_before_each_clip():
    clip = np.arange(1, 5, dtype=np.int16)
    test = held_out.UnseenAudio({"clean": [clip]}, np.ones(3, np.int16), 1.0, 1.0)
    after = test.after_silence()
    assert len(after.positives["clean"][0]) == 3 * 16_000 + 4
    assert not after.positives["clean"][0][:-4].any()
    np.testing.assert_array_equal(after.positives["clean"][0][-4:], clip)
    assert after.negatives is test.negatives


def test_of_several_keywords_the_one_that_is_named_is_read(unseen: held_out.UnseenAudio, tmp_path: Path):
    model = write_tone_model(tmp_path / "tones.onnx", {"low": 500.0, "tone": 1000.0})
    alone = scoring.detector_scores(write_tone_model(tmp_path / "tone.onnx"), unseen)
    named = scoring.detector_scores(model, unseen, "tone")
    np.testing.assert_allclose(named[1], alone[1], atol=1e-6)
    for one, other in zip(named[0]["clean"], alone[0]["clean"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    positives, negatives, _ = scoring.detector_scores(model, unseen)  # the first
    assert negatives.max() < 0.5 and all(scores.max() < 0.5 for scores in positives["clean"])


def test_misses_are_those_at_the_lowest_threshold_that_keeps_to_the_rate():
    # frames of 1 s; one hour of negatives with peaks 0.9, 0.6 and 0.3, apart
    negatives = np.zeros(3600)
    negatives[[100, 200, 300]] = 0.9, 0.6, 0.3
    clips = {
        "clean": [np.array([0.2, top, 0.1]) for top in (0.95, 0.7, 0.5, 0.25)],
        "noise": [np.array([0.7])],
    }
    config = DecisionConfig((1.0,), 1, 1.0)
    found = scoring.count_misses(clips, negatives, 1.0, (0.5, 1.0, 2.0), config, 1.0)
    clean = found["clean"]
    assert [clean[rate].missed for rate in (0.5, 1.0, 2.0)] == [(1, 2, 3), (2, 3), (3,)]
    assert [clean[rate].false_accepts for rate in (0.5, 1.0, 2.0)] == [0, 1, 2]
    assert all(0.3 < (clean[2.0].threshold or 0) < 0.5 for _ in clean) and clean[0.5].clips == 4
    assert found["noise"][0.5].missed == (0,) and found["noise"][1.0].missed == ()


def test_where_no_threshold_keeps_to_the_rate_all_is_missed():
    negatives = np.ones(3600)
    negatives[::2] = 0.0
    count = scoring.count_misses(
        {"clean": [np.ones(3)]}, negatives, 1.0, (1.0,), DecisionConfig((1.0,), 1, 1.0), 1.0
    )["clean"][1.0]
    assert (count.threshold, count.missed, count.clips) == (None, (0,), 1)
