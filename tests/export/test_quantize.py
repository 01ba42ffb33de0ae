"""The int8 form: same format and any chunking, honest numbers about what it changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import signals
from export.quantize import to_int8
from export.verify import make_signals
from kws.detector import Detector
from kws.errors import CheckpointError
from tests.export.conftest import Exported


@pytest.fixture(scope="module")
def source(exported: Exported) -> Path:
    return exported("conv")


def test_reports_how_far_the_scores_are(source: Path, tmp_path: Path):
    path, report = to_int8(source, tmp_path / "small.int8.onnx")
    ours, theirs = Detector(source), Detector(path)
    differences = []
    for waveform in make_signals(1280).values():
        ours.reset()
        theirs.reset()
        differences.append(np.abs(ours.scores(waveform) - theirs.scores(waveform)))
    largest = max(float(difference.max()) for difference in differences)
    assert 0 < largest < 0.05
    assert report.max_score_difference == pytest.approx(largest, abs=1e-5)
    assert report.int8_bytes == path.stat().st_size
    written = json.loads((tmp_path / "small.int8.verify.json").read_text(encoding="utf-8"))
    assert written["max_score_difference"] == report.max_score_difference


def test_keeps_the_format_and_leaves_the_front_end_alone(source: Path, tmp_path: Path):
    path, _ = to_int8(source, tmp_path / "small.onnx")
    assert Detector(path).metadata == Detector(source).metadata | {"chunk_dynamic": "false"}
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(str(path)).graph.initializer}
    front_end = [kind for name, kind in kinds.items() if "frontend" in name]
    assert front_end and set(front_end) == {onnx.TensorProto.FLOAT}
    assert onnx.TensorProto.INT8 in kinds.values()


def test_any_chunking_gives_the_same_scores(source: Path, tmp_path: Path):
    path, _ = to_int8(source, tmp_path / "small.onnx")
    waveform = signals.speech_like(2.4, seed=5)
    detector = Detector(path)
    expected = detector.scores(waveform)
    detector.reset()
    pieces = np.split(waveform, np.sort(np.random.default_rng(0).integers(0, len(waveform), 30)))
    np.testing.assert_array_equal(np.concatenate([detector.scores(piece) for piece in pieces]), expected)


@pytest.mark.slow
def test_the_default_model_shrinks_below_half(default_detector: Path, tmp_path: Path):
    _, report = to_int8(default_detector, tmp_path / "small.onnx")
    assert report.int8_bytes < 0.5 * report.source_bytes


def test_what_is_no_exported_model_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.onnx: no such file"):
        to_int8(tmp_path / "none.onnx")
    assert list(tmp_path.iterdir()) == []
