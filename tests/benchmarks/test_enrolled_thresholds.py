"""`benchmarks/enrolled_thresholds.py`: rates at the stored threshold, and their mean over phrases."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import corpora, enrolled_thresholds
from benchmarks.enrolled_thresholds import row, summary
from kws.studies import held_out
from tests.support.onnx_models import silence, tone, write_tone_model


def entry(phrase: str, method: str, background: str, false_accepts: int, missed: int = 0) -> dict[str, Any]:
    spoken = {"clean": [missed, 200], "noise": [2 * missed, 100]} if phrase in corpora.KEYWORDS else {}
    return {
        "phrase": phrase,
        "method": method,
        "background": background,
        "copies": 3 if background == "own" else 0,
        "background_hours": 2.5,
        "false_accepts": false_accepts,
        "test_hours": 4.0,
        "missed": spoken,
    }


def test_rates_are_told_by_phrase_and_averaged_by_their_logarithms():
    found = [
        entry("hey robot", "phones", "own", 0),
        entry("jarvis", "phones", "own", 4, 2),
        entry("computer", "phones", "own", 16, 4),
        entry("alexa", "examples", "ships", 2),
    ]
    assert list(summary(found)) == [
        ["examples", "ships", "0", "2.50", "0.5", "0.50", "–"],
        # no event in four hours counts as 0.1 per hour: the third root of 4 * 1 * 0.1
        ["phones", "own", "3", "2.50", "4.0 1.0 0.0", "0.74", "1.5 / 6.0"],
    ]


@pytest.mark.parametrize("phrase", ["jarvis", "alexa"])
@pytest.mark.parametrize("background", ["own", "ships"])
def test_a_phrase_is_read_at_its_threshold_with_dev_speech_or_what_ships(
    phrase: str, background: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_tone_model(tmp_path / "model.onnx")
    said = (32767 * np.concatenate([tone(1000, 1), silence(0.5)])).astype(np.int16)
    test = held_out.UnseenAudio({"clean": [said, said * 0]}, np.tile(said, 3), 2.0, 2.0)
    rows = [{"path": f"{split}.wav", "split": split} for split in ("train", "dev")]
    corpora.write_rows(tmp_path / "negatives.jsonl", rows)
    asked: list[dict[str, Any]] = []

    def enroll(phrases: list[str], output: Path, **given: Any) -> SimpleNamespace:
        asked.append({"phrases": phrases, **given})
        return SimpleNamespace(model=tmp_path / "model.onnx", metrics={"dev_hours": 2.8, "dev_copies": 3})

    monkeypatch.setattr(
        corpora, "training_manifests", lambda *_: (tmp_path / "negatives.jsonl", tmp_path / "noise.jsonl")
    )
    monkeypatch.setattr(corpora, "test_audio", lambda *_: test)
    monkeypatch.setattr(enrolled_thresholds, "enroll", enroll)
    found = row(phrase, "examples", background, tmp_path, tmp_path)
    assert (found["false_accepts"], found["background_hours"], found["copies"]) == (3, 2.8, 3)
    assert found["missed"] == ({"clean": (1, 2)} if phrase == "jarvis" else {})
    assert (asked[0]["phrases"], asked[0]["method"], asked[0]["false_accepts_per_hour"]) == (
        [phrase],
        "examples",
        0.5,
    )
    assert asked[0]["negatives"] == ([tmp_path / "dev.jsonl"] if background == "own" else ())
    assert json.loads((tmp_path / "dev.jsonl").read_text("utf-8"))["path"] == "dev.wav"
