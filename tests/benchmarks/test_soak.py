"""`benchmarks/soak.py`: a long stream costs no memory and its scores do not drift."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak import soak
from tests.support.onnx_models import write_tone_model


def test_a_stream_costs_no_memory_and_its_scores_do_not_drift(tmp_path: Path):
    found = soak(write_tone_model(tmp_path / "m.onnx"), hours=6, hour_s=60.0)
    assert found.hours == 0.1 and len(found.memory_mb) == 6
    assert found.growth_mb < 1
    assert found.largest_difference == 0
