"""The exported file computes what the checkpoint computes and says all a device needs, or it is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import numpy_helper

from export import signals, to_onnx
from export.quantize import to_int8
from kws.checkpoint import load_model
from kws.decisions import decide, smooth
from kws.detector import Detector
from kws.encoders.registry import available_encoders
from kws.errors import CheckpointError, ConfigError, ExportMismatch
from kws.heads import available_heads
from kws.model import ModelConfig, WakeWordModel, build_model
from tests.export.conftest import DEFAULT_SEED, Exported, Tamper
from tests.support.encoders import TINY_BLOCKS, tiny_shape
from tests.support.runs import write_run
from tests.tolerances import ONNX, STREAMING

HEADS = [name if name == "conv" else pytest.param(name, marks=pytest.mark.slow) for name in available_heads()]
WAVEFORM = np.concatenate(
    [signals.speech_like(2.4, 3), signals.noise(0.8, 0.3, 4), np.zeros(12_800, np.float32)]
)


def between(scores: np.ndarray) -> float:
    """Return a threshold in the widest gap amid the scores: rounding must not decide what crosses it."""
    ordered = np.sort(scores)[len(scores) // 4 : -len(scores) // 4]
    widest = int(np.argmax(np.diff(ordered)))
    return float(ordered[widest : widest + 2].mean())


def assert_hears_as_torch(path: Path, model: WakeWordModel) -> None:
    """Compare the detector on a file with the model that it should be, in two chunkings."""
    config = Detector(path).decision_config
    waveform = WAVEFORM[: len(WAVEFORM) - len(WAVEFORM) % Detector(path).chunk_samples]
    scores = model.scores(torch.from_numpy(waveform)[None])[0].numpy()
    smoothed = smooth(scores, np.zeros((config.smoothing_frames - 1, len(model.keywords))))
    thresholds = {keyword: between(smoothed[:, column]) for column, keyword in enumerate(model.keywords)}
    detector = Detector(path, threshold=thresholds, compete_s=0)  # each keyword has a detection to compare
    wanted, _ = decide(scores, model.keywords, detector.decision_config, detector.hop_s)
    assert {detection.keyword for detection in wanted} == set(model.keywords)
    cuts = np.sort(np.random.default_rng(1).integers(0, len(waveform), 40))
    for blocks in ([waveform], np.split(waveform, cuts)):
        detector.reset()
        heard = [detector.push(block) for block in blocks]
        np.testing.assert_allclose(np.concatenate([part for part, _ in heard]), scores, atol=ONNX, rtol=0)
        found = [detection for _, part in heard for detection in part]
        assert [(item.keyword, item.frame, item.time_s) for item in found] == [
            (item.keyword, item.frame, item.time_s) for item in wanted
        ]


@pytest.mark.parametrize("head", HEADS)
def test_every_head_scores_and_detects_as_torch_in_any_chunking(exported: Exported, head: str):
    path = exported(head)
    assert_hears_as_torch(path, load_model(path.parent))


@pytest.mark.slow
def test_the_default_model_scores_and_detects_as_torch(default_detector: Path):
    torch.manual_seed(DEFAULT_SEED)
    assert_hears_as_torch(default_detector, build_model(ModelConfig(keywords=("keyword",))).eval())
    assert default_detector.stat().st_size < 8_000_000


def test_a_reset_is_a_cold_start(exported: Exported):
    detector = Detector(exported("conv"))
    first = detector.scores(WAVEFORM)
    assert np.abs(detector.scores(WAVEFORM)[: len(first)] - first).max() > STREAMING, (
        "the state is carried on"
    )
    detector.reset()
    np.testing.assert_array_equal(detector.scores(WAVEFORM), first)


def test_a_file_is_written_for_old_programs_unless_asked_otherwise(exported: Exported, tmp_path: Path):
    path = exported("conv")
    model = onnx.load(str(path))
    assert (model.ir_version, model.opset_import[0].version) == (8, 18), "onnxruntime 1.14 reads these"
    newer = to_onnx.export(path.parent, tmp_path / "newer.onnx", opset=20)
    assert onnx.load(str(newer)).opset_import[0].version == 20
    with pytest.raises(ConfigError, match="`opset`: got 17, allowed: 18 to 23"):
        to_onnx.export(path.parent, tmp_path / "older.onnx", opset=17)


@pytest.mark.network
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="onnxruntime 1.16 is of Python 3.8 to 3.11")
def test_onnxruntime_of_2023_gives_the_same_scores(exported: Exported, tmp_path: Path):
    audio = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    np.save(tmp_path / "audio.npy", audio)
    paths = [exported("conv"), to_int8(exported("conv"), tmp_path / "small.onnx")[0]]
    venv.create(tmp_path / "old", with_pip=True)
    python = tmp_path / "old" / "bin" / "python"
    wanted = ["onnxruntime==1.16.3", "numpy<2", "soundfile"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True, timeout=500)
    code = (
        "import sys, numpy; from kws.detector import Detector; "
        "numpy.save(sys.argv[3], Detector(sys.argv[1]).scores(numpy.load(sys.argv[2])))"
    )
    for path in paths:
        subprocess.run(
            [python, "-c", code, path, tmp_path / "audio.npy", tmp_path / "scores.npy"],
            check=True,
            timeout=100,
            env={"PYTHONPATH": str(Path(to_onnx.__file__).parents[1])},
        )
        difference = np.load(tmp_path / "scores.npy") - Detector(path).scores(audio)
        assert np.abs(difference).max() < 0.02  # onnxruntime of then rounds the int8 products otherwise
        if path == paths[0]:
            assert np.abs(difference).max() < ONNX


def test_the_metadata_say_all_that_the_format_asks(exported: Exported):
    path = exported("conv")
    metadata = Detector(path).metadata
    assert json.loads(metadata.pop("keywords")) == ["lumen", "guten tag ü"]
    assert json.loads(metadata.pop("thresholds")) == {"lumen": 0.5, "guten tag ü": 0.55}
    assert metadata.pop("created_by").startswith("kws ")
    assert metadata == {
        "format_version": "2",
        "sample_rate": "16000",
        "chunk_samples": "1280",
        "chunk_dynamic": "true",
        "hop_samples": "640",
        "lookahead_samples": "0",
        "false_accepts_per_hour": "0.5",
        "floored": "[]",
        "smoothing_frames": "2",
        "refractory_s": "0.6",
        "compete_s": "0.5",
        "licence": "Apache-2.0",
        "encoder": "embedded",
        "config_hash": "0123456789ab",
    }


def test_the_languages_of_a_run_are_in_the_file(exported: Exported, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(exported("conv").parent, run)
    origin = json.loads((run / "provenance.json").read_text("utf-8"))
    (run / "provenance.json").write_text(json.dumps({**origin, "languages": ["de"]}), "utf-8")
    assert json.loads(Detector(to_onnx.export(run)).metadata["languages"]) == ["de"]


def test_writes_one_file_and_its_report_and_no_path_of_this_machine(exported: Exported):
    path = exported("conv")
    assert {file.name for file in path.parent.iterdir()} == {
        *("model.onnx", "model.verify.json", "model.json"),
        *("config.yaml", "weights.safetensors", "metrics.json", "provenance.json"),
    }
    graph = onnx.load(str(path), load_external_data=False).graph
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in graph.initializer)
    content = path.read_bytes()
    for trace in (str(Path(to_onnx.__file__).parents[1]).encode(), b".py", b"stack_trace"):
        assert trace not in content
    report = json.loads((path.parent / "model.verify.json").read_text(encoding="utf-8"))
    assert report["ok"] and report["detections_compared"] > 0
    assert report["max_score_difference"] <= ONNX
    assert {entry["chunking"] for entry in report["signals"]} == {
        "1280 samples",
        "whole",
        "1 to 7 hops",
        "beside another stream",
    }


def shift(part: str, by: float) -> Tamper:
    """Add a number to every weight whose name holds ``part``."""

    def tamper(model: onnx.ModelProto) -> None:
        found = [tensor for tensor in model.graph.initializer if part in tensor.name]
        assert found
        for tensor in found:
            changed = numpy_helper.to_array(tensor) + np.float32(by)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))

    return tamper


def forget(state: str) -> Tamper:
    """Hand out zeros instead of a state."""

    def tamper(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.output[:] = ["kept" if name == state else name for name in node.output]
        model.graph.node.append(onnx.helper.make_node("Sub", ["kept", "kept"], [state]))

    return tamper


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(shift("head.output.bias", 0.002), id="output bias"),
        pytest.param(shift("layers.1.expand", 0.02), id="encoder weight"),
        pytest.param(forget("next_state_3"), id="forgotten state"),
    ],
)
def test_a_graph_that_computes_something_else_is_refused_and_the_earlier_file_stays(
    tmp_path: Path, traced_before: Callable[[Tamper], None], tamper: Tamper
):
    run = write_run(tmp_path / "run")
    (run / "model.onnx").write_bytes(b"earlier file")
    before = sorted(file.name for file in run.iterdir())
    traced_before(tamper)
    with pytest.raises(
        ExportMismatch, match=r"model\.onnx: not written, the graph differs from the checkpoint"
    ):
        to_onnx.export(run)
    assert (run / "model.onnx").read_bytes() == b"earlier file"
    assert sorted(file.name for file in run.iterdir()) == before
    traced_before(lambda model: None)
    to_onnx.export(run)
    assert Detector(run / "model.onnx").keywords == ("lumen", "guten tag ü")


def test_a_step_that_is_no_multiple_of_the_hop_is_refused(tmp_path: Path):
    run = write_run(tmp_path / "run", "linear")
    for chunk_ms in (100, 20, 0):
        with pytest.raises(ConfigError, match=f"chunk_ms: got {chunk_ms}, .*'embedded': multiples of 40 ms"):
            to_onnx.export(run, chunk_ms=chunk_ms)


def test_another_step_and_place_may_be_chosen(tmp_path: Path, traced_before: Callable[[Tamper], None]):
    run = write_run(tmp_path / "run")
    traced_before(lambda model: None)
    path = to_onnx.export(run, tmp_path / "device" / "light.onnx", chunk_ms=160)
    assert path == tmp_path / "device" / "light.onnx"
    assert (path.parent / "light.verify.json").is_file() and not (run / "model.onnx").exists()
    assert Detector(path).chunk_samples == 2560


def test_a_keyword_without_threshold_is_named(tmp_path: Path):
    run = write_run(tmp_path / "run", "linear")
    values = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    del values["operating_point"]["thresholds"]["lumen"]
    (run / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(CheckpointError, match="thresholds has none for lumen"):
        to_onnx.export(run)


@pytest.mark.slow
@pytest.mark.parametrize("block", TINY_BLOCKS)
def test_every_kind_of_block_scores_as_torch_in_any_chunking(tmp_path: Path, block: str):
    path = to_onnx.export(write_run(tmp_path / "run", shape=tiny_shape(f"embedded {block}"), depth=3))
    assert_hears_as_torch(path, load_model(path.parent))
    at_once, detector = Detector(path).scores(WAVEFORM), Detector(path)
    pushed = [detector.scores(piece) for piece in np.split(WAVEFORM, range(1280, len(WAVEFORM), 1280))]
    np.testing.assert_allclose(np.concatenate(pushed), at_once, atol=STREAMING, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder",
    [
        name
        for name in available_encoders()
        if name in ("wav2vec2_base", "emformer_rnnt_base_librispeech", "whisper_base")
    ],
)
def test_an_encoder_of_fixed_chunks_scores_as_torch_chunk_by_chunk(
    tmp_path: Path, encoder: str, capfd: pytest.CaptureFixture[str]
):
    path = to_onnx.export(write_run(tmp_path / "run", encoder=encoder, shape=tiny_shape(encoder), depth=1))
    assert capfd.readouterr() == ("", ""), "the exporter is quiet"
    detector, model = Detector(path), load_model(path.parent)
    chunk = model.encoder.info.chunk_samples
    assert detector.metadata["chunk_dynamic"] == "false" and detector.chunk_samples == chunk
    assert detector.metadata["licence"] == model.encoder.info.license
    waveform = WAVEFORM[: 15 * chunk]
    state, pieces = model.initial_state(1), []
    with torch.no_grad():
        for piece in torch.from_numpy(waveform)[None].split(chunk, dim=1):
            logits, state = model.run(piece, state)
            pieces.append(torch.sigmoid(logits[0]))
    heard = np.concatenate([detector.scores(block) for block in np.split(waveform, [777, 9000, 9001])])
    np.testing.assert_allclose(heard, torch.cat(pieces).numpy(), atol=ONNX, rtol=0)
