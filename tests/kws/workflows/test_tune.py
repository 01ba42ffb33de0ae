"""`kws tune` and `kws doctor`: another threshold, and what is unusual about a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import kws
from kws import Detector
from kws.cli import main
from kws.errors import CheckpointError, ConfigError
from kws.model_manifest import manifest_path, write_manifest
from kws.onnx_metadata import with_metadata
from kws.workflows.tune import EARLIER
from tests.support.onnx_models import silence, tone, write_tone_model

SOUND = np.concatenate([silence(0.5), tone(500, 0.4), silence(0.5)])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(
        tmp_path / "m.onnx", {"low": 500.0, "höher": 1000.0}, metadata={"false_accepts_per_hour": "0.5"}
    )


def write_evaluation(folder: Path, curve: list[tuple[float, int]], hours: float = 10.0) -> Path:
    det = [{"threshold": t, "false_accepts": {"events": n, "hours": hours}} for t, n in curve]
    row = {
        "name": "stored threshold",
        "threshold": 0.5,
        "misses": {"events": 1, "trials": 4},
        "false_accepts": {"events": 5, "hours": hours},
    }
    keywords = [{"keyword": name, "det": det, "operating": [row]} for name in ("low", "höher")]
    folder.mkdir(exist_ok=True)
    path = folder / "evaluation.json"
    path.write_text(json.dumps({"negative_hours": hours, "keywords": keywords}), encoding="utf-8")
    return path


def test_a_threshold_is_written_and_nothing_else_changes(model: Path, tmp_path: Path):
    before = onnx.load(str(model))
    found = kws.tune(model, tmp_path / "tuned.onnx", threshold={"low": 0.875})
    assert (found.before, found.after) == ({"low": 0.5, "höher": 0.5}, {"low": 0.875, "höher": 0.5})
    after = onnx.load(str(tmp_path / "tuned.onnx"))
    assert after.graph == before.graph and after.opset_import == before.opset_import
    old, new = Detector(model), Detector(tmp_path / "tuned.onnx")
    assert new.thresholds == found.after and Detector(model).thresholds == found.before
    np.testing.assert_array_equal(old.scores(SOUND), new.scores(SOUND))
    kept = {key: value for key, value in old.metadata.items() if key in new.metadata and key != "thresholds"}
    assert all(new.metadata[key] == value for key, value in kept.items() if key != "floored")


def test_what_a_file_held_before_stands_in_it_and_the_manifest_is_true(model: Path):
    write_manifest(model)
    kws.tune(model, threshold=0.75)
    kws.tune(model, threshold=0.25)
    earlier = json.loads(Detector(model).metadata[EARLIER])
    assert [entry["thresholds"]["low"] for entry in earlier] == [0.5, 0.75]
    assert [entry["false_accepts_per_hour"] for entry in earlier] == [0.5, None]
    told = json.loads(manifest_path(model).read_text(encoding="utf-8"))
    assert told["thresholds"] == {"low": 0.25, "höher": 0.25} and told["keywords"] == ["low", "höher"]
    assert told["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert told["bytes"] == model.stat().st_size and told["false_accepts_per_hour"] is None


def test_a_rate_is_read_off_an_evaluation(model: Path, tmp_path: Path):
    curve = [(0.9, 0), (0.8, 2), (0.7, 5), (0.6, 9), (0.55, 4), (0.5, 30)]
    write_evaluation(tmp_path / "m-evaluation", curve)
    found = kws.tune(model, false_accepts_per_hour=0.5)
    assert found.after == {"low": 0.7, "höher": 0.7}, "what lies below one that exceeds the rate is none"
    assert Detector(model).metadata["false_accepts_per_hour"] == "0.5"
    with pytest.raises(ConfigError, match="got 0.05; the 10 h of negatives of .* show 0.1 or more"):
        kws.tune(model, false_accepts_per_hour=0.05)
    other = write_evaluation(tmp_path / "other", [(0.9, 50)])
    with pytest.raises(ConfigError, match="holds no threshold of 'low' at 0.5 per hour"):
        kws.tune(model, false_accepts_per_hour=0.5, evaluation=other)
    other.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"is no evaluation\.json of `kws eval`"):
        kws.tune(model, false_accepts_per_hour=0.5, evaluation=other)


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({}, ConfigError, "give one of `threshold` and `false_accepts_per_hour`"),
        ({"threshold": 1.5}, ConfigError, r"expected a number within \[0, 1\]"),
        ({"threshold": {"other": 0.5}}, ConfigError, "unknown keyword 'other'"),
        ({"false_accepts_per_hour": 0.5}, ConfigError, "cannot be read"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    model: Path, settings: dict[str, object], error: type[Exception], told: str
):
    before = model.read_bytes()
    with pytest.raises(error, match=told):
        kws.tune(model, **settings)
    assert model.read_bytes() == before and not manifest_path(model).exists()


@pytest.mark.parametrize("data", [b"\x0a\xff\x01", b"\x80" * 20, b"\x0b", b"\x08"])
def test_a_file_that_is_no_protocol_buffer_is_refused(data: bytes):
    with pytest.raises(ValueError, match="byte|number"):
        with_metadata(data, {})


def test_a_sound_file_is_called_so(model: Path, capsys: pytest.CaptureFixture[str]):
    report = kws.doctor(model)
    assert report.sound and report.facts["keywords"] == ["low", "höher"] and report.cpu_s_per_hour > 0
    write_evaluation(model.parent / "m-evaluation", [])
    assert main(["doctor", str(model)]) == 0
    told = capsys.readouterr().out
    assert "low: threshold 0.5000, chosen for 0.5 false accepts per hour" in told
    assert "stored threshold: threshold 0.5000, 25.0% missed, 0.50 false accepts per hour" in told
    assert "sound: it opens, runs" in told
    assert main(["doctor", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sound"] is True


def test_what_is_unfit_or_unusual_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    deaf = write_tone_model(tmp_path / "m.onnx", threshold=1e-6, metadata={"floored": '["tone"]'})
    report = kws.doctor(deaf)
    assert any("it hears tone in digital silence" in problem for problem in report.problems)
    notes = " ".join(report.notes)
    assert "the threshold of tone is 0.00000" in notes and "is a floor" in notes
    assert main(["doctor", str(deaf)]) == 1
    assert "PROBLEM: it hears tone" in capsys.readouterr().out
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="cannot open it as an ONNX model"):
        kws.doctor(tmp_path / "no.onnx")


def test_the_command_says_what_changed(model: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["tune", str(model), "--threshold", "low=0.75"]) == 0
    told = capsys.readouterr().out
    assert "low: 0.5000 -> 0.7500" in told and "höher: 0.5000 -> 0.5000" in told
