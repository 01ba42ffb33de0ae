"""`benchmarks/cold_start.py`: what is missed from a cold start and after silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import cold_start, corpora
from kws.studies.held_out import UnseenAudio
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.training import noise


def test_both_beginnings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_tone_model(tmp_path / "model.onnx")
    said = (32767 * np.concatenate([tone(1000, 1), silence(0.5)])).astype(np.int16)
    hiss = (32767 * noise(5.0)).astype(np.int16)
    test = UnseenAudio({"clean": [said], "some": [said, said * 0]}, hiss, 1.0, 1.0)
    monkeypatch.setattr(corpora, "test_audio", lambda *_: test)
    found = list(cold_start.rows(tmp_path, tmp_path, tmp_path))
    assert found == [[tmp_path.name, name, "0.0 / 50.0"] for name in ("a cold start", "silence")]
