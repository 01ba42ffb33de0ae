"""The examples in other surroundings hear what `kws.Detector` hears."""

from __future__ import annotations

import json
import os
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


@pytest.fixture(scope="module")
def cpp(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example in C++, compiled."""
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: apt-get install cmake g++")
    if not os.environ.get("ONNXRUNTIME_ROOT"):
        pytest.skip("needs ONNXRUNTIME_ROOT, the folder of a release of onnxruntime with include/ and lib/")
    build = tmp_path_factory.mktemp("cpp")
    strict = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror"
    for words in (["-S", str(EXAMPLES / "cpp"), "-B", str(build), strict], ["--build", str(build)]):
        done = subprocess.run(["cmake", *words], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    return str(build / "detect")


def program_of(name: str, model: Path, request: pytest.FixtureRequest) -> list[str]:
    """Return how an example is called, or skip the test where it cannot be."""
    if name == "cpp":
        return [request.getfixturevalue("cpp"), str(model)]
    if name == "python":
        return [sys.executable, str(EXAMPLES / "python" / "detect.py"), str(model)]
    if shutil.which("node") is None or not VENDOR.is_dir():
        pytest.skip("needs node and `make web`: apt-get install npm")
    web(model, model.parent / "page")
    return [str(shutil.which("node")), str(EXAMPLES / "node" / "detect.mjs"), str(model.parent / "page")]


@pytest.mark.parametrize("name", ["python", "node", pytest.param("cpp", marks=pytest.mark.slow)])
def test_an_example_gives_the_scores_and_detections_of_a_detector(
    name: str, model: Path, request: pytest.FixtureRequest
):
    program, wav = program_of(name, model, request), str(model.parent / "call.wav")
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


@pytest.mark.slow
def test_the_cpp_example_names_odd_keywords_and_what_it_cannot_read(cpp: str, tmp_path: Path):
    model = write_tone_model(tmp_path / "m.onnx", {"小爱 é": 500.0, 'say "hi"': 2000.0})
    audio.save(tmp_path / "call.wav", SOUND)
    (tmp_path / "none.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    (tmp_path / "text.wav").write_text("no sound")
    done = subprocess.run([cpp, model, tmp_path / "call.wav"], capture_output=True, text=True, timeout=60)
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == ["小爱 é", 'say "hi"', "小爱 é"]
    for words, code, said in (
        ([], 2, "detect MODEL WAV [--scores]"),
        ([model, tmp_path / "none.wav"], 1, "none.wav: expected 16-bit mono at 16 kHz"),
        ([model, tmp_path / "text.wav"], 1, "text.wav: no WAV"),
        ([tmp_path / "absent.onnx", tmp_path / "call.wav"], 1, "absent.onnx"),
    ):
        done = subprocess.run([cpp, *words], capture_output=True, text=True, timeout=60)
        assert (done.returncode, said in done.stderr, done.stdout) == (code, True, ""), done.stderr


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("python/detect.py", "python detect.py model.onnx call.wav"),
        ("node/detect.mjs", "node detect.mjs page/ call.wav"),
        ("cpp/detect.cpp", "build/detect model.onnx call.wav"),
    ],
)
def test_an_example_is_short_and_says_how_it_is_called(path: str, call: str):
    text = (EXAMPLES / path).read_text("utf-8")
    assert len(text.splitlines()) < 150 and max(map(len, text.splitlines())) < 130
    assert call in "".join(text.splitlines(keepends=True)[:10])


def test_the_python_example_imports_nothing_of_the_project():
    text = (EXAMPLES / "python" / "detect.py").read_text("utf-8")
    assert "kws" not in text
