"""`benchmarks/int8.py`: what a file misses at a rate and at the threshold that it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.int8 import HEADS, row
from kws.study.held_out import TestAudio
from tests.support.onnx_models import silence, tone, write_tone_model


def test_a_row_counts_misses_and_what_fires_without_the_keyword(tmp_path: Path):
    path = tmp_path / "model.onnx"
    write_tone_model(path)
    said = (32767 * np.concatenate([tone(1000, 1), silence(0.5)])).astype(np.int16)
    test = TestAudio({"clean": [said, said], "some": [said, said * 0]}, np.tile(said, 3), 2.0, 2.0)
    name, form, size, missed, rate, at_threshold = row("run", "float32", path, test)
    assert (name, form, rate, at_threshold) == ("run", "float32", "1.50", "0.0 / 50.0")
    assert size == f"{path.stat().st_size / 1e6:.2f}"
    assert missed == "100.0 / 100.0"  # three tones in two hours: no threshold gives one an hour
    assert len(HEADS) == 6
