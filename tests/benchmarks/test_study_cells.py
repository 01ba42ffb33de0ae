"""Kept cells of the study: none is lost, and each comes back under the identity that it has now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import study_cells


def test_cells_are_added_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = study_cells.KEPT.read_text("utf-8")
    rows = [json.loads(line) for line in kept.splitlines()]
    names = [row["cell"] for row in rows]
    monkeypatch.setattr(study_cells, "KEPT", tmp_path / "kept.jsonl")
    study_cells.KEPT.write_text(kept, "utf-8")
    places = {
        row["cell"]: study_cells.Place(tmp_path / "cells" / f"{number:012x}.json", row["made_with"])
        for number, row in enumerate(rows)
    }
    assert study_cells.keep(places) == len(rows)  # none is finished here, and none is lost
    others = {name: study_cells.Place(place.path, "other settings") for name, place in places.items()}
    assert study_cells.restore(others) == 0
    assert study_cells.restore(places) == len(rows)
    assert study_cells.restore(places) == 0  # they are there
    path = places[names[0]].path
    changed = json.loads(path.read_text("utf-8"))
    assert changed["identity"] == f"{0:012x}"
    path.write_text(json.dumps({**changed, "train_s": 1.5}), "utf-8")
    for name in names[1:]:
        places[name].path.unlink()
    assert study_cells.keep(places) == len(rows)
    found = {row["cell"]: row for row in map(json.loads, study_cells.KEPT.read_text("utf-8").splitlines())}
    assert found[names[0]]["train_s"] == 1.5
    assert found[names[1]] == rows[1]
    assert study_cells.keep({names[0]: places[names[0]]}) == 1  # the others are of another study
