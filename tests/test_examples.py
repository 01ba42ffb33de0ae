"""The examples in other surroundings hear what `kws.Detector` hears."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kws import Detector, audio, web
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.tolerances import ONNX

EXAMPLES = Path(__file__).parents[1] / "examples"
VENDOR = Path(__file__).parents[1] / "kws" / "web" / "vendor"
SOUND = np.concatenate(
    [silence(0.5), tone(500, 0.4), silence(1), tone(2000, 0.5), silence(0.2), tone(500, 0.05)]
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    audio.save(tmp_path / "call.wav", SOUND)
    return write_tone_model(tmp_path / "m.onnx", {"low": 500.0, "high": 2000.0}, smoothing_frames=2)


def programs(model: Path) -> dict[str, list[str]]:
    return {
        "python": [sys.executable, str(EXAMPLES / "python" / "detect.py"), str(model)],
        "node": [
            str(shutil.which("node")),
            str(EXAMPLES / "node" / "detect.mjs"),
            str(model.parent / "page"),
        ],
    }


@pytest.mark.parametrize("name", ["python", "node"])
def test_an_example_gives_the_scores_and_detections_of_a_detector(name: str, model: Path):
    if name == "node":
        if shutil.which("node") is None or not VENDOR.is_dir():
            pytest.skip("needs node and `make web`: apt-get install npm")
        web(model, model.parent / "page")
    program, wav = programs(model)[name], str(model.parent / "call.wav")
    told = [
        subprocess.run([*program, wav, *more], capture_output=True, text=True, timeout=100, check=True).stdout
        for more in ([], ["--scores"])
    ]
    sound = audio.load(model.parent / "call.wav")
    detector = Detector(model)
    scores, detections = detector.push(sound)
    detections += detector.finish()
    assert [line.split()[2] for line in told[0].splitlines()] == [each.keyword for each in detections]
    assert [float(line.split()[0]) for line in told[0].splitlines()] == pytest.approx(
        [each.time_s for each in detections], abs=0.06
    )
    found = np.array([json.loads(line)["scores"] for line in told[1].splitlines()])
    np.testing.assert_allclose(found[: len(scores)], scores, atol=ONNX, rtol=0)
    assert len(detections) == 3


@pytest.mark.parametrize(
    "path", [*EXAMPLES.glob("*/*.py"), *EXAMPLES.glob("*/*.mjs")], ids=lambda path: path.name
)
def test_an_example_is_short_and_says_how_it_is_called(path: Path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 150
    assert f"{path.name} " in "".join(text.splitlines(keepends=True)[:10]), "how it is called"


def test_the_python_example_imports_nothing_of_the_project():
    text = (EXAMPLES / "python" / "detect.py").read_text("utf-8")
    assert "kws" not in text
