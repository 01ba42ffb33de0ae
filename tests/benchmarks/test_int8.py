"""`benchmarks/int8.py`: what a file misses at a rate and at the threshold that it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import corpora
from benchmarks.int8 import HEADS, row, rows
from kws.studies import held_out
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.runs import write_run


def test_a_row_counts_misses_and_what_fires_without_the_keyword(tmp_path: Path):
    path = tmp_path / "model.onnx"
    write_tone_model(path)
    said = (32767 * np.concatenate([tone(1000, 1), silence(0.5)])).astype(np.int16)
    test = held_out.UnseenAudio({"clean": [said, said], "some": [said, said * 0]}, np.tile(said, 3), 2.0, 2.0)
    found, shares = row("run", "float32", path, test)
    assert len(found) == len(HEADS)
    name, form, size, at_half, missed, rate, at_threshold = found
    assert (name, form, rate, at_threshold) == ("run", "float32", "1.50", "0.0 / 50.0")
    assert size == f"{path.stat().st_size / 1e6:.2f}"
    assert missed == at_half == "100.0 / 100.0" and shares == [
        100,
        100,
    ]  # three tones in two hours: no threshold gives one an hour


@pytest.mark.slow
def test_a_run_is_read_in_both_forms_on_the_audio_of_its_keyword(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = write_run(tmp_path / "run", keywords=("lumen",))
    clip = (32767 * tone(1000, 1)).astype(np.int16)
    asked = []

    def test_audio(*place: object) -> held_out.UnseenAudio:
        asked.append(place)
        return held_out.UnseenAudio({"clean": [clip]}, clip, 1.0, 1.0)

    monkeypatch.setattr(corpora, "test_audio", test_audio)
    (whole, _), (small, _) = rows(run, tmp_path / "data", tmp_path / "work")
    assert asked == [(tmp_path / "data", tmp_path / "work", "lumen")]
    assert (whole[:2], small[:2]) == (["run (lumen)", "float32"], ["run (lumen)", "int8"])
    sizes = [(run / name).stat().st_size for name in ("model.onnx", "model.int8.onnx")]
    assert [whole[2], small[2]] == [f"{size / 1e6:.2f}" for size in sizes] and sizes[0] > sizes[1]
