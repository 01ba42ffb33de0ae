"""`kws listen` as a person runs it: other terminals, pipes that never end, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from tests.support.onnx_models import silence, tone, write_tone_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "model.onnx")


def kws_listen(*arguments: object, **settings) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "kws", "listen", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, **settings)


def test_a_terminal_that_cannot_show_the_keyword_gets_its_code_points(tmp_path: Path):
    model = write_tone_model(tmp_path / "model.onnx", {"小爱同学": 1000.0})
    audio.save(tmp_path / "one.wav", np.concatenate([silence(0.5), tone(1000, 0.5)]))
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = kws_listen(model, "--file", tmp_path / "one.wav", env=environment)
    assert done.returncode == 0
    assert rb"\u5c0f\u7231\u540c\u5b66" in done.stdout
