"""Test audio kept on disk, scored by a real exported file, and read at rates of false accepts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.decisions import DecisionConfig
from kws.evaluation.heard import HeardClip, HeardPiece
from kws.evaluation.protocol import TestProtocol
from kws.manifest import Recording
from kws.studies import held_out, scoring
from tests.support.onnx_models import silence, tone, write_tone_model

PROTOCOL = TestProtocol(early_s=0.1, smoothing_frames=1)


def pcm(*pieces: np.ndarray) -> np.ndarray:
    return audio.to_int16(np.concatenate(pieces))


@pytest.fixture
def unseen(tmp_path: Path) -> held_out.UnseenAudio:
    """Three clips, the second silent, in noise the third too; one tone in 36 s without the keyword."""
    heard, empty = pcm(silence(0.4), tone(1000, 0.5)), pcm(silence(0.5))

    def clip(number: int, samples: np.ndarray) -> HeardClip:
        speaker = ("anna", "bert", None)[number]
        recording = Recording(Path(f"tone/{number}.wav"), speaker=speaker)
        return HeardClip(recording, samples, len(samples), 0.0, 0.4, 0.9)

    versions = {"clean": [heard, empty, heard], "noise": [heard, empty, empty]}
    clips = {name: [clip(n, samples) for n, samples in enumerate(each)] for name, each in versions.items()}
    held_out.save_clips(tmp_path, "tone", clips, PROTOCOL)
    stream = pcm(silence(20), tone(1000, 1.0), silence(15))
    pieces = [(stream[: 16_000 * 9], 0, False), (stream[16_000 * 9 :], 8_000, True)]
    held_out.save_negatives(
        tmp_path,
        (HeardPiece(Recording(Path("a.wav")), iter([part]), gap, copy) for part, gap, copy in pieces),
    )
    return held_out.load_test_audio(tmp_path, "tone")


def test_audio_is_kept_as_it_is(unseen: held_out.UnseenAudio, tmp_path: Path):
    assert [len(clip) for clip in unseen.positives["noise"]] == [14_400, 8_000, 8_000]
    assert unseen.positives["clean"][2].max() > 16_000 and not unseen.positives["clean"][1].any()
    assert (unseen.hours, unseen.original_hours) == pytest.approx((36 / 3600, 9 / 3600))
    assert isinstance(unseen.negatives, np.memmap) and len(unseen.negatives) == 36.5 * 16_000
    assert unseen.hit_from_s == {name: [pytest.approx(0.3)] * 3 for name in ("clean", "noise")}
    assert unseen.protocol == PROTOCOL
    assert held_out.load_speakers(tmp_path, "tone") == ["anna", "bert", "tone/2.wav@0"]
    assert held_out.is_saved(tmp_path, "tone") and not held_out.is_saved(tmp_path, "word")


def test_a_late_tone_is_heard_and_each_clip_starts_anew(unseen: held_out.UnseenAudio, tmp_path: Path):
    model = write_tone_model(tmp_path / "tone.onnx")
    scores = scoring.detector_scores(model, unseen)
    positives, negatives, hop_s = scores.positives, scores.negatives, scores.hop_s
    assert hop_s == 0.04 and len(negatives) == 912
    assert [bool(scores.max() > 0.9) for scores in positives["clean"]] == [True, False, True]
    assert 20 < np.flatnonzero(negatives > 0.9)[0] * hop_s + hop_s < 20.2
    assert positives["clean"][0].tolist() == positives["clean"][2].tolist()


def test_of_several_keywords_the_one_that_is_named_is_read(unseen: held_out.UnseenAudio, tmp_path: Path):
    model = write_tone_model(tmp_path / "tones.onnx", {"low": 500.0, "tone": 1000.0})
    alone = scoring.detector_scores(write_tone_model(tmp_path / "tone.onnx"), unseen)
    named = scoring.detector_scores(model, unseen, "tone")
    np.testing.assert_allclose(named.negatives, alone.negatives, atol=1e-6)
    for one, other in zip(named.positives["clean"], alone.positives["clean"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    first = scoring.detector_scores(model, unseen)
    assert first.negatives.max() < 0.5 and all(clip.max() < 0.5 for clip in first.positives["clean"])


def test_a_protocol_goes_with_its_audio(unseen: held_out.UnseenAudio, tmp_path: Path):
    scores = scoring.detector_scores(write_tone_model(tmp_path / "tone.onnx"), unseen)
    decision = DecisionConfig((1.0,), smoothing_frames=200)  # longer than any tone
    found = scores.misses(unseen, [150.0], decision)
    assert {name: rates[150.0].missed for name, rates in found.items()} == {"clean": (1,), "noise": (1, 2)}
    late = replace(unseen, hit_from_s={"clean": [5.0, 5.0, 0.2]})  # the first tone is over by then
    assert scores.misses(late, [150.0], decision)["clean"][150.0].missed == (0, 1)
    smoothed = scores.misses(replace(unseen, protocol=TestProtocol()), [150.0], decision)
    thresholds = [counts["clean"][150.0].threshold or 0.0 for counts in (found, smoothed)]
    assert thresholds[0] > 3 * thresholds[1]
