"""Scores of clips and streams, through an exported file and through a folder of `kws train`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kws import Detector, audio
from kws.checkpoint import OperatingPoint, save_model
from kws.decisions import DecisionConfig, DecisionSettings
from kws.errors import AudioError, CheckpointError, ManifestError
from kws.evaluation.scoring import (
    LEAD_S,
    TorchScorer,
    hours,
    open_scorer,
    read_waveform,
    score_manifest,
    speech_span_s,
)
from kws.manifest import Recording
from kws.model import ModelConfig, build_model
from tests.support.onnx_models import CHUNK_SAMPLES, HOP_SAMPLES, silence, tone, write_tone_model

RATE = 16_000
LEAD = round(LEAD_S * RATE) // CHUNK_SAMPLES * CHUNK_SAMPLES


def save(path: Path, waveform: np.ndarray, **extra: object) -> Recording:
    audio.save(path, waveform)
    return Recording(path, duration_s=len(waveform) / RATE, extra=extra)


def noise(length_s: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(length_s * RATE)).astype(np.float32)


def test_a_clip_is_followed_by_silence_that_fills_the_last_chunk(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx", chunk_dynamic=False)
    utterance = save(tmp_path / "a.wav", np.concatenate([silence(0.51), tone(1000, 0.5)]))
    (clip,) = score_manifest(model, [utterance], progress=False)
    chunks = -(-(round(1.01 * RATE) + RATE) // CHUNK_SAMPLES)
    assert clip.scores.shape == (chunks * CHUNK_SAMPLES // HOP_SAMPLES, 1)
    assert clip.num_samples == round(1.01 * RATE)
    high = np.flatnonzero(clip.scores[:, 0] > 0.5)
    assert high.min() * HOP_SAMPLES == pytest.approx(0.51 * RATE, abs=2 * HOP_SAMPLES)
    assert high.max() * HOP_SAMPLES >= 1.01 * RATE - HOP_SAMPLES  # the tail is needed to see the last ones
    assert len(score_manifest(model, [utterance], tail_s=0, progress=False)[0].scores) == 26


def test_a_clip_is_heard_after_silence(tmp_path: Path):
    class Counter:
        """Scores each frame with its number since the last start."""

        keywords, hop_samples, chunk_samples = ("tone",), HOP_SAMPLES, CHUNK_SAMPLES
        hop_s, decision_config, count = HOP_SAMPLES / RATE, DecisionConfig((0.5,)), 0

        def reset(self) -> None:
            self.count, self.heard = 0, np.zeros(0, np.float32)

        def scores(self, pcm: np.ndarray) -> np.ndarray:
            self.heard = np.concatenate([self.heard, pcm])
            first, self.count = self.count, self.count + len(pcm) // HOP_SAMPLES
            return np.arange(first, self.count, dtype=np.float32)[:, None]

    counter, utterance = Counter(), save(tmp_path / "a.wav", tone(1000, 1))
    for clip in score_manifest(counter, [utterance, utterance], progress=False):
        assert clip.scores[0, 0] == LEAD // HOP_SAMPLES and len(clip.scores) == 2 * RATE / HOP_SAMPLES
    assert LEAD / RATE > 2.5
    assert not counter.heard[:LEAD].any()
    np.testing.assert_array_equal(counter.heard[LEAD:][:RATE], audio.load(utterance.path))


def test_clips_start_anew_and_keep_their_order(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx")
    loud, quiet = save(tmp_path / "a.wav", tone(1000, 1)), save(tmp_path / "b.wav", silence(1))
    after, alone = score_manifest(model, [loud, quiet], progress=False)[1], score_manifest(model, [quiet])[0]
    np.testing.assert_array_equal(after.scores, alone.scores)
    assert after.scores.max() < 0.1


def test_a_stream_is_scored_as_one_recording(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx")
    parts = [noise(1.234), tone(1000, 0.777), noise(2.001, seed=1)]
    utterances = [save(tmp_path / f"{index}.wav", part) for index, part in enumerate(parts)]
    clips = score_manifest(model, utterances, stream=True, progress=False)
    whole = np.concatenate([audio.load(entry.path) for entry in utterances])
    np.testing.assert_allclose(
        np.concatenate([clip.scores for clip in clips]), Detector(model).scores(whole), atol=1e-5, rtol=0
    )
    assert [clip.start_sample for clip in clips] == [0, len(parts[0]), len(parts[0]) + len(parts[1])]
    assert [clip.first_frame for clip in clips][1] == len(clips[0].scores)
    assert hours(clips) == pytest.approx((1.234 + 0.777 + 2.001) / 3600)


def test_a_change_sees_clip_and_silence_and_the_name(tmp_path: Path):
    seen = []

    def mute(waveform: np.ndarray, item_id: str) -> np.ndarray:
        seen.append((len(waveform), item_id))
        return waveform * 0

    model = write_tone_model(tmp_path / "m.onnx")
    utterance = save(tmp_path / "a.wav", tone(1000, 1))
    (clip,) = score_manifest(model, [utterance], change=mute, progress=False)
    assert seen == [(LEAD + 2 * RATE, utterance.item_id)]
    assert clip.scores.max() < 0.1
    with pytest.raises(ManifestError, match="clips only"):
        score_manifest(model, [utterance], stream=True, change=mute, progress=False)


def test_a_stretch_of_a_longer_file_is_read_alone(tmp_path: Path):
    whole = save(tmp_path / "a.wav", np.concatenate([tone(500, 1), tone(1000, 1), tone(2000, 1)]))
    first = Recording(whole.path, duration_s=1.0)
    middle = Recording(whole.path, duration_s=1.0, offset_s=1.0)
    np.testing.assert_array_equal(read_waveform(first), read_waveform(whole)[:RATE])
    np.testing.assert_array_equal(read_waveform(middle), read_waveform(whole)[RATE : 2 * RATE])
    assert len(read_waveform(Recording(whole.path, duration_s=2.9999))) == 3 * RATE


def test_speech_is_found_in_silence_noise_and_hum():
    word = np.concatenate([silence(1.0), tone(400, 0.6, 0.3), silence(0.8)])
    hum = tone(50, 2.4, 0.03)
    for background in (silence(2.4), noise(2.4) * 0.2, hum):
        assert speech_span_s(word + background) == (
            pytest.approx(1.0, abs=0.03),
            pytest.approx(1.6, abs=0.03),
        )
    assert speech_span_s(silence(1.0)) == (0.0, 1.0)
    assert speech_span_s(np.zeros(10, np.float32)) == (0.0, 10 / RATE)


def test_the_manifest_knows_better_where_the_phrase_is(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx")
    waveform = np.concatenate([silence(1), tone(1000, 1), silence(1)])
    plain = save(tmp_path / "a.wav", waveform)
    told = save(tmp_path / "b.wav", waveform, keyword_start_s=1.2, keyword_end_s=1.5)
    first, second = score_manifest(model, [plain, told], progress=False)
    assert (first.speech_start_s, first.speech_end_s) == (
        pytest.approx(1, abs=0.03),
        pytest.approx(2, abs=0.03),
    )
    assert (second.speech_start_s, second.speech_end_s) == (1.2, 1.5)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `kws train` leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    config = ModelConfig(("computer",), depth=2, head="linear")
    point = OperatingPoint({"computer": 0.4}, DecisionSettings(0.5, 2, 0.5, 0.3), 1.0)
    save_model(
        folder, build_model(config, pretrained=False), config, point, training={}, metrics={}, provenance={}
    )
    return folder


def test_a_run_folder_gives_the_torch_model_as_a_stream(run_folder: Path):
    scorer = open_scorer(run_folder)
    assert isinstance(scorer, TorchScorer)
    assert scorer.decision_config.thresholds == (0.4,)
    assert scorer.decision_config == DecisionConfig((0.4,), 2, 0.5, 0.3)
    waveform = noise(3.0)
    pieces = [scorer.scores(piece) for piece in np.split(waveform, [1, 700, 5000, 30_001])]
    whole = scorer._model.scores(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(np.concatenate(pieces), whole[: 3 * RATE // HOP_SAMPLES], atol=1e-5, rtol=0)
    scorer.reset()
    np.testing.assert_allclose(scorer.scores(waveform), np.concatenate(pieces), atol=1e-5, rtol=0)


def test_the_exported_file_of_a_run_folder_is_preferred(tmp_path: Path):
    write_tone_model(tmp_path / "model.onnx")
    assert isinstance(open_scorer(tmp_path), Detector)


def test_what_cannot_be_scored_is_named(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx")
    with pytest.raises(CheckpointError, match="absent: no such file or folder"):
        open_scorer(tmp_path / "absent")
    with pytest.raises(ManifestError, match="there are no recordings"):
        score_manifest(model, [], progress=False)
    audio.save(tmp_path / "empty.wav", np.zeros(0, np.float32))
    with pytest.raises(AudioError, match="empty.wav: holds no samples"):
        score_manifest(model, [Recording(tmp_path / "empty.wav", duration_s=1.0)], progress=False)
