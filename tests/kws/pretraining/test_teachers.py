"""Learning from a teacher: embeddings are those of its own files, in time with the encoder, and learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from kws.audio import to_int16
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.registry import load_encoder
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.errors import CheckpointError, ConfigError
from kws.pretraining import loop as module
from kws.pretraining import teachers
from kws.pretraining.batches import CtcBatch, TrainingBatches
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import TeacherTargets
from kws.pretraining.loop import pretrain
from kws.pretraining.sources import SpeechSourceConfig, load_sources
from kws.pretraining.task import CtcTask
from kws.pretraining.teachers import EncoderTeacher, SpeechEmbedding, TeacherConfig, keep_teacher_targets
from tests.support.pretraining import tiny_recipe
from tests.support.training import noise, tone, write_manifest, write_wavs

TINY = EmbeddedConfig(num_mels=8, dimension=12, num_layers=2, kernel=3, drop=0.0)
ONNX_OPSET = 17


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    """``speech.jsonl``: three lines with phones, a fourth without."""
    waveforms = [tone(0.5 + 0.1 * n, 300 + 100 * n) + noise(0.5 + 0.1 * n, n, 0.01) for n in range(4)]
    rows = [
        {"path": path.relative_to(tmp_path), "duration_s": 0.5 + 0.1 * n, "split": "train"}
        | ({"phones": "K AE T"} if n < 3 else {})
        for n, path in enumerate(write_wavs(tmp_path / "wavs", waveforms))
    ]
    write_manifest(tmp_path / "speech.jsonl", rows)
    return tmp_path


@pytest.fixture
def recipe(corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """Forty steps in which the tiny encoder learns from the first two layers of the one that ships."""
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    source = SpeechSourceConfig(corpus_folder / "speech.jsonl", unlabeled=True)
    return replace(
        tiny_recipe(corpus_folder / "speech.jsonl"),
        train=(source,), dev=(replace(source, splits=("train",), unlabeled=False),), test=(),
        teacher=TeacherConfig("embedded", depth=2, layer=1), encoder=TINY, steps=40, ramp=0.12,
        evaluate_every=20, ema_decay=0.999, spec_augment=False, learning_rate=0.01,
    )  # fmt: skip


def write_speech_embedding(folder: Path) -> None:
    """Write two files in the layout of the public ones: mel frames, and an embedding of folded windows."""
    rng = np.random.default_rng(0)

    def save(name: str, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> None:
        tensors = [numpy_helper.from_array(value, key) for key, value in constants.items()]
        values = [
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in side]
            for side in (inputs, outputs)
        ]
        graph = helper.make_graph(nodes, name, *values, tensors)
        opset = [helper.make_opsetid("", ONNX_OPSET)]
        folder.mkdir(exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / name)

    save(
        "melspectrogram.onnx",
        [
            helper.make_node("Unsqueeze", ["samples", "axis"], ["row"]),
            helper.make_node("Conv", ["row", "filters"], ["bands"], strides=[160]),
            helper.make_node("Transpose", ["bands"], ["turned"], perm=[0, 2, 1]),
            helper.make_node("Unsqueeze", ["turned", "axis"], ["mel"]),
        ],
        [("samples", ["batch", "length"])],
        [("mel", [1, 1, "frames", 32])],
        {
            "axis": np.array([1]),
            "filters": rng.normal(size=(32, 1, 512)).astype(np.float32) / 3e5,
        },
    )
    save(
        "embedding_model.onnx",
        [
            helper.make_node("Reshape", ["mel", "windows"], ["folded"]),
            helper.make_node("Conv", ["folded", "first"], ["low"], strides=[2, 1]),
            helper.make_node("Relu", ["low"], ["rectified"]),
            helper.make_node("Conv", ["rectified", "second"], ["high"], strides=[4, 1]),
            helper.make_node("Reshape", ["high", "out"], ["embedding"]),
        ],
        [("mel", ["batch", 76, 32, 1])],
        [("embedding", ["batch", 1, 1, 5])],
        {
            "windows": np.array([-1, 1, 76, 32]),
            "first": rng.normal(size=(4, 1, 2, 3)).astype(np.float32),
            "second": rng.normal(size=(5, 4, 38, 30)).astype(np.float32),
            "out": np.array([-1, 1, 1, 5]),
        },
    )


def test_a_whole_recording_gives_what_the_files_give_window_by_window(tmp_path: Path):
    write_speech_embedding(tmp_path)
    waveform = tone(1.3, 440) + noise(1.3, 0, 0.1)
    found = SpeechEmbedding(tmp_path).embed(waveform)

    mel, embedding = (
        onnxruntime.InferenceSession(tmp_path / name)
        for name in ("melspectrogram.onnx", "embedding_model.onnx")
    )
    padded = np.pad(to_int16(waveform), (68 * 160, 352)).astype(np.float32)
    frames = mel.run(None, {"samples": padded[None]})[0][0, 0] / 10 + 2
    windows = [frames[start : start + 76] for start in range(0, len(frames) - 75, 8)]
    expected = embedding.run(None, {"mel": np.stack(windows)[..., None]})[0].reshape(-1, 5)
    assert found.shape == (len(waveform) // 1280, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_folder_without_the_files_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no speech embedding .*give the folder of openWakeWord's"):
        SpeechEmbedding(tmp_path)
    (tmp_path / "melspectrogram.onnx").write_bytes(b"no model")
    (tmp_path / "embedding_model.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="no speech embedding"):
        SpeechEmbedding(tmp_path)


def test_an_encoder_teaches_with_the_features_of_the_depth_asked_for():
    whole = load_encoder("embedded")
    teacher = EncoderTeacher("embedded", None, 3)
    waveform = noise(1.0, 1, 0.1).astype(np.float32)
    features, _ = whole.stem(whole.frontend(torch.from_numpy(waveform[None]))[0], whole.stem.initial_state(1))
    for layer in whole.layers[:3]:
        features, _ = layer(features, layer.initial_state(1))
    found = teacher.embed(waveform)
    np.testing.assert_allclose(found, features[0].detach().numpy(), atol=1e-4)
    assert teacher.hop_samples == 640 and len(found) == 25


def test_teacher_targets_are_read_at_the_ends_of_the_frames():
    teacher_targets = TeacherTargets([np.arange(5, dtype=np.float16)[:, None]], 1280)
    # embedding t is of sample (t + 1) * 1280; before the first and after the last nothing else is known
    np.testing.assert_allclose(teacher_targets.at_ends(0, 6, 640)[:, 0], [0, 0, 0.5, 1, 1.5, 2])
    # slowed by two: a frame is half as much of the recording
    np.testing.assert_allclose(teacher_targets.at_ends(0, 6, 320)[:, 0], [0, 0, 0, 0, 0.25, 0.5])
    np.testing.assert_allclose(teacher_targets.at_ends(0, 12, 640)[-3:, 0], [4, 4, 4])
    alone = TeacherTargets([np.ones((1, 1), np.float16)], 1280)
    np.testing.assert_allclose(alone.at_ends(0, 3, 640)[:, 0], [1, 1, 1])


def test_a_row_that_was_slowed_down_keeps_in_time_with_its_teacher_targets(corpus_folder: Path):
    corpus = load_sources((SpeechSourceConfig(corpus_folder / "speech.jsonl", unlabeled=True),))
    hop = 160
    ramps = [np.arange(len(samples) // hop + 40, dtype=np.float16)[:, None] for samples in corpus.audio]
    corpus.teacher_targets = TeacherTargets(ramps, hop)

    def slowed(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        return np.repeat(waveform, 2)

    batches = TrainingBatches(corpus, batch_s=1.0, augment=slowed, encoder=EmbeddedEncoder(TINY), num_steps=1)
    batch = batches.batch(0)
    assert batch.embeddings is not None
    assert batch.embeddings.shape[:2] == batch.features[:, ::4].shape[:2]
    # a frame of 640 samples is 320 samples of the recording: two steps of the ramp
    inner = batch.embeddings[0, 1:20, 0]
    torch.testing.assert_close(inner.diff(), torch.full((18,), 2.0), atol=0.1, rtol=0)


def test_what_the_teacher_said_is_kept_and_made_again_where_it_is_damaged(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    corpus = load_sources((SpeechSourceConfig(corpus_folder / "speech.jsonl", unlabeled=True),))
    monkeypatch.setattr(teachers, "SHARD", 3)
    heard: list[int] = []
    embed = EncoderTeacher.embed

    def counted(self: EncoderTeacher, waveform: np.ndarray) -> np.ndarray:
        heard.append(len(waveform))
        return embed(self, waveform)

    monkeypatch.setattr(EncoderTeacher, "embed", counted)
    config = TeacherConfig("embedded", depth=1)
    keep_teacher_targets(corpus, config, tmp_path / "kept", progress=False)
    first = corpus.teacher_targets
    assert first is not None and len(heard) == 4
    joined = np.concatenate(first.embeddings).astype(np.float32)
    np.testing.assert_allclose(joined.mean(0), 0, atol=1e-2)
    np.testing.assert_allclose(joined.std(0), 1, atol=2e-2)

    keep_teacher_targets(corpus, config, tmp_path / "kept", progress=False)
    assert len(heard) == 4  # nothing is heard again
    damaged = tmp_path / "kept" / "00001.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    keep_teacher_targets(corpus, config, tmp_path / "kept", progress=False)
    assert len(heard) == 5 and corpus.teacher_targets is not None
    for again, before in zip(corpus.teacher_targets.embeddings, first.embeddings, strict=True):
        np.testing.assert_array_equal(again, before)
    keep_teacher_targets(corpus, replace(config, depth=2), tmp_path / "kept", progress=False)
    assert len(heard) == 9  # another teacher


def test_rows_without_phones_teach_by_the_teacher_alone():
    torch.manual_seed(0)
    config = PretrainConfig(
        train=(SpeechSourceConfig(Path("a")),),
        dev=(SpeechSourceConfig(Path("a")),),
        teacher=TeacherConfig("embedded", layer=1),
        encoder=TINY,
        middle=1,
    )
    task = CtcTask(PhoneRecognizer(EmbeddedEncoder(TINY), 1), config, teacher_dimension=3)
    features = torch.randn(2, 40, 8)
    lengths, targets = torch.tensor([10, 8]), torch.tensor([1, 2])
    batch = CtcBatch(features, lengths, targets, torch.tensor([2, 0]), torch.randn(2, 10, 3))
    alone = CtcBatch(features[:1], lengths[:1], targets, torch.tensor([2]))
    logits = task.model.logits(task.model.hidden(features))[0]
    torch.testing.assert_close(task.ctc(logits, batch), task.ctc(logits[:1], alone))
    nothing = batch._replace(targets=targets[:0], target_lengths=torch.tensor([0, 0]))
    assert float(task.ctc(logits, nothing).detach()) == 0

    hidden = task.model.hidden(features)[0]
    assert batch.embeddings is not None
    error = (task.to_teacher(hidden) - batch.embeddings).square()
    expected = torch.cat([error[0], error[1, :8]]).mean()  # the padding of the shorter row does not count
    torch.testing.assert_close(task.teacher_error(hidden, batch), expected)


def test_a_checkpoint_of_an_earlier_version_holds_the_layer_to_the_teacher_too():
    config = PretrainConfig(
        train=(SpeechSourceConfig(Path("a")),),
        dev=(SpeechSourceConfig(Path("a")),),
        teacher=TeacherConfig("embedded", layer=1),
        encoder=TINY,
        middle=1,
    )
    saved, task = (
        CtcTask(PhoneRecognizer(EmbeddedEncoder(TINY), 1), config, teacher_dimension=3) for _ in range(2)
    )
    tensors = {name.replace("to_teacher", "lesson"): value for name, value in saved.state_dict().items()}
    assert "lesson.1.weight" in tensors
    task.load_state_dict(tensors)
    torch.testing.assert_close(task.state_dict(), saved.state_dict())


def test_pretraining_comes_near_its_teacher(
    recipe: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    errors: list[float] = []
    teacher_error = CtcTask.teacher_error

    def noted(self: CtcTask, *arguments: object) -> torch.Tensor:
        error = teacher_error(self, *arguments)  # type: ignore[arg-type]
        errors.append(float(error.detach()))
        return error

    monkeypatch.setattr(CtcTask, "teacher_error", noted)
    metrics = pretrain(recipe, tmp_path / "run")
    assert metrics["train_utterances"] == 4  # the line without phones too
    assert np.mean(errors[-5:]) < 0.7 * np.mean(errors[:5])
    assert (tmp_path / "run" / "teacher" / "00000.npz").is_file()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "speech_embedding"}, "teacher.path: speech_embedding needs the folder"),
        ({"source": "professor"}, "teacher.source: got 'professor', allowed: speech_embedding or an encoder"),
        ({"source": "embedded", "layer": 0}, "layer 1 or more"),
        ({"source": "embedded", "weight": 0.0}, "weight above 0"),
    ],
)
def test_teachers_that_cannot_be_are_refused(values: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        TeacherConfig(**values)


def test_recipes_whose_teacher_does_not_fit_are_refused(recipe: PretrainConfig):
    with pytest.raises(ConfigError, match="an `unlabeled` source needs a `teacher` or `consistency`"):
        replace(recipe, teacher=None)
    with pytest.raises(ConfigError, match="teacher.layer: got 3, allowed: 1 to 2"):
        replace(recipe, teacher=TeacherConfig("embedded", layer=3))
    with pytest.raises(ConfigError, match="`unlabeled` has no phone error rate"):
        replace(recipe, dev=recipe.train)
