"""Scores of clips and streams, through an exported file and through a folder of `kws train`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kws import Detector, audio
from kws.checkpoint import OperatingPoint, save_model
from kws.decisions import DecisionConfig, DecisionSettings
from kws.errors import AudioError, CheckpointError
from kws.evaluation.heard import HeardAudio
from kws.evaluation.protocol import TestProtocol
from kws.evaluation.scoring import ScoredClip, TorchScorer, hours, open_scorer, score_clips, score_stream
from kws.manifest import Recording
from kws.model import ModelConfig, build_model
from tests.support.onnx_models import CHUNK_SAMPLES, HOP_SAMPLES, silence, tone, write_tone_model

RATE = 16_000


def save(path: Path, waveform: np.ndarray, **extra: object) -> Recording:
    audio.save(path, waveform)
    return Recording(path, duration_s=len(waveform) / RATE, extra=extra)


def noise(length_s: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(length_s * RATE)).astype(np.float32)


def scored(model: Path, *utterances: Recording, **protocol: object) -> list[ScoredClip]:
    heard = HeardAudio(TestProtocol(conditions={"clean": {}}, **protocol))
    clips = [heard.clip(utterance, "clean") for utterance in utterances]
    return score_clips(open_scorer(model), clips, len(clips), progress=False)


def test_a_clip_is_scored_with_what_is_heard_around_it(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx", chunk_dynamic=False)
    utterance = save(tmp_path / "a.wav", np.concatenate([silence(0.51), tone(1000, 0.5)]))
    (clip,) = scored(model, utterance)
    chunks = -(-round((3 + 1.01 + 1) * RATE) // CHUNK_SAMPLES)  # silence fills the last one
    assert clip.scores.shape == (chunks * CHUNK_SAMPLES // HOP_SAMPLES, 1)
    assert (clip.num_samples, clip.lead_s) == (round(1.01 * RATE), 3.0)
    high = np.flatnonzero(clip.scores[:, 0] > 0.5)
    assert high.min() * HOP_SAMPLES == pytest.approx(3.51 * RATE, abs=2 * HOP_SAMPLES)
    assert high.max() * HOP_SAMPLES >= 4.01 * RATE - HOP_SAMPLES  # the tail is needed to see the last ones
    assert len(scored(model, utterance, lead_s=0.0, tail_s=0.0)[0].scores) == 26


def test_clips_start_anew_and_keep_their_order(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx")
    loud, quiet = save(tmp_path / "a.wav", tone(1000, 1)), save(tmp_path / "b.wav", silence(1))
    after, alone = scored(model, loud, quiet)[1], scored(model, quiet)[0]
    np.testing.assert_array_equal(after.scores, alone.scores)
    assert after.scores.max() < 0.1


def test_a_stream_is_scored_as_one_recording(tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx")
    parts = [noise(1.234), tone(1000, 0.777), noise(2.001, seed=1)]
    utterances = [save(tmp_path / f"{index}.wav", part) for index, part in enumerate(parts)]
    heard = HeardAudio(TestProtocol(conditions={"clean": {}}, gap_s=0.25), noise=utterances[2:])
    clips = score_stream(open_scorer(model), heard.stream(utterances[:2]), 3, progress=False)
    gap = np.zeros(RATE // 4, np.int16)
    whole = [audio.to_int16(audio.load(entry.path)) for entry in utterances]
    joined = np.concatenate([whole[0], gap, whole[1], gap, whole[2]])
    np.testing.assert_allclose(
        np.concatenate([clip.scores for clip in clips]), Detector(model).scores(joined), atol=1e-5, rtol=0
    )
    starts = [0, len(parts[0]) + RATE // 4, len(parts[0]) + len(parts[1]) + RATE // 2]
    assert [clip.start_sample for clip in clips] == starts
    assert hours(clips) == pytest.approx((1.234 + 0.777 + 2.001) / 3600)  # the gaps count for nothing


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
    audio.save(tmp_path / "empty.wav", np.zeros(0, np.float32))
    with pytest.raises(AudioError, match="empty.wav: holds no samples"):
        scored(model, Recording(tmp_path / "empty.wav", duration_s=1.0))
