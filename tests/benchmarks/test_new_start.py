"""`benchmarks/new_start.py`: what is missed from a new start and after silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import corpora, new_start
from kws.study.held_out import TestAudio
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.training import noise


def test_both_beginnings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_tone_model(tmp_path / "model.onnx")
    said = (32767 * np.concatenate([tone(1000, 1), silence(0.5)])).astype(np.int16)
    hiss = (32767 * noise(5.0)).astype(np.int16)
    test = TestAudio({"clean": [said], "some": [said, said * 0]}, hiss, 1.0, 1.0)
    monkeypatch.setattr(corpora, "test_audio", lambda *_: test)
    found = list(new_start.rows(tmp_path, tmp_path, tmp_path))
    assert found == [[tmp_path.name, name, "0.0 / 50.0"] for name in ("a new start", "silence")]


def test_silence_comes_before_each_clip():
    clip = np.arange(1, 5, dtype=np.int16)
    test = TestAudio({"clean": [clip]}, np.ones(3, np.int16), 1.0, 1.0)
    after = test.after_silence()
    assert len(after.positives["clean"][0]) == 3 * 16_000 + 4
    assert not after.positives["clean"][0][:-4].any()
    np.testing.assert_array_equal(after.positives["clean"][0][-4:], clip)
    assert after.negatives is test.negatives
