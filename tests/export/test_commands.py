"""`kws export` and `kws bench` as a person calls them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from export import peers, to_onnx
from kws.cli import bench, export
from kws.detector import Detector
from kws.errors import CheckpointError, ConfigError, ExportMismatch
from tests.export.conftest import Exported, Tamper
from tests.support.runs import write_run


def call(module, *words: str) -> int:  # noqa: ANN001
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args(words))


def test_export_says_size_parity_and_thresholds(
    traced_before: Callable[[Tamper], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = write_run(tmp_path / "run")
    traced_before(lambda model: None)
    assert call(export, str(run), "--int8", "--chunk-ms", "120") == 0
    printed = capsys.readouterr()
    size = (run / "model.onnx").stat().st_size / 1e6
    for text in (
        f"{size:.2f} MB",
        "allowed 0.0001",
        " s of made speech and noise; ",
        " in it identical",
        "lumen 0.500",
        "0.5 false accepts per hour",
    ):
        assert text in printed.out
    assert "model.int8.onnx" in printed.out
    assert printed.err == ""
    for name in ("model.onnx", "model.int8.onnx"):
        assert Detector(run / name).chunk_samples == 1920


@pytest.mark.parametrize(
    ("detections", "told"),
    [
        (0, "; no detection in it to compare"),
        (1, "; 1 detection in it identical"),
        (2, "; 2 detections in it id"),
    ],
)
def test_what_was_compared_is_told(detections: int, told: str):
    entry = {"signal": "speech", "duration_s": 2.4}
    report = {"max_score_difference": 1e-6, "score_tolerance": 1e-4, "signals": [entry, entry]}
    said = export.parity_text({**report, "detections_compared": detections})
    assert said.startswith(
        "scores within 1.0e-06 of torch (allowed 0.0001) on 2.4 s of made speech and noise"
    )
    assert told in said


def test_export_ends_with_1_when_the_graph_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(*arguments: object) -> Path:
        raise ExportMismatch("model.onnx: not written")

    monkeypatch.setattr(to_onnx, "export", refuse)
    assert call(export, str(tmp_path)) == 1
    assert "model.onnx: not written" in capsys.readouterr().out


def test_export_of_a_folder_that_is_no_run_says_so(tmp_path: Path):
    with pytest.raises(CheckpointError, match="holds no config.yaml; give the output folder of `kws train`"):
        call(export, str(tmp_path))


def test_bench_prints_a_table_or_json(
    exported: Exported, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(peers, "installed", lambda package: False)
    words = (str(exported("conv")), "--seconds", "0.4", "--rounds", "1")
    assert call(bench, *words) == 0
    table = capsys.readouterr().out
    for text in (
        "logical cores",
        "threads: 1",
        "CPU s per hour",
        "kws model.onnx",
        "median of 1 interleaved rounds",
    ):
        assert text in table
    assert call(bench, *words, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["costs"][0]["cpu_s_per_hour"] > 0
    assert report["ratios"] == {}
    assert call(bench, str(exported("conv")), "--operators") == 0
    assert "MatMul" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="`operators` looks into a model"):
        call(bench, "--operators")
