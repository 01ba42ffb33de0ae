"""Kept cells of the study: none is lost, and each comes back under the identity that it has now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import study_cells


def test_cells_are_added_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = study_cells.KEPT.read_text("utf-8")
    rows = [json.loads(line) for line in kept.splitlines()]
    encoder, names = rows[0]["encoder"], [row["cell"] for row in rows]
    monkeypatch.setattr(study_cells, "KEPT", tmp_path / "kept.jsonl")
    study_cells.KEPT.write_text(kept, "utf-8")
    files = {name: tmp_path / "cells" / f"{number:012x}.json" for number, name in enumerate(names)}
    assert study_cells.keep(files, encoder) == len(rows)  # none is finished here, and none is lost
    assert study_cells.restore(files, "another encoder") == 0
    assert study_cells.restore(files, encoder) == len(rows)
    assert study_cells.restore(files, encoder) == 0  # they are there
    changed = json.loads(files[names[0]].read_text("utf-8"))
    assert changed["identity"] == f"{0:012x}"
    files[names[0]].write_text(json.dumps({**changed, "train_s": 1.5}), "utf-8")
    assert study_cells.keep(dict([next(iter(files.items()))]), encoder) == len(rows)
    found = {row["cell"]: row for row in map(json.loads, study_cells.KEPT.read_text("utf-8").splitlines())}
    assert found[names[0]]["train_s"] == 1.5
    assert found[names[1]] == rows[1]
