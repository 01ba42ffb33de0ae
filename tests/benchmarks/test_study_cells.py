"""Kept cells of the study: none is lost, and those of the study as it is now come back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import study_cells
from kws.studies.grid import cell_path
from kws.version import UNKNOWN_VERSION


def test_cells_are_added_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = study_cells.KEPT.read_text("utf-8")
    rows = [json.loads(line) for line in kept.splitlines()]
    monkeypatch.setattr(study_cells, "KEPT", tmp_path / "kept.jsonl")
    study_cells.KEPT.write_text(kept, "utf-8")
    planned = {row["cell"]: row["identity"] for row in rows}
    folder, number = tmp_path / "study", len(set(planned.values()))  # `auto` is another one's cell
    assert study_cells.keep(folder, planned) == len(rows)  # none is finished here, and none is lost
    assert study_cells.others(planned) == []
    assert study_cells.others(planned | {rows[3]["cell"]: "0" * 12}) == [rows[3]["cell"]]
    assert study_cells.restore(folder, dict.fromkeys(planned, "0" * 12)) == 0  # of other settings
    assert study_cells.restore(folder, planned) == number
    assert study_cells.restore(folder, planned) == 0  # they are there
    assert len(list(folder.glob("cells/*.json"))) == number
    first, second = next(
        (row, other) for row in rows for other in rows if row["identity"] != other["identity"]
    )
    path = cell_path(folder, first["identity"])
    restored = json.loads(path.read_text("utf-8"))
    assert {"cell": first["cell"], **restored} == first
    path.write_text(json.dumps({**restored, "train_s": 1.5}), "utf-8")
    cell_path(folder, second["identity"]).unlink()
    assert study_cells.keep(folder, planned) == len(rows)
    found = {row["cell"]: row for row in map(json.loads, study_cells.KEPT.read_text("utf-8").splitlines())}
    assert found[first["cell"]]["train_s"] == 1.5 and found[second["cell"]] == second
    name = first["cell"]
    assert study_cells.keep(folder, {name: planned[name]}) == 1  # the others are of another study


def test_a_checkout_that_is_not_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(study_cells, "__version__", UNKNOWN_VERSION)
    monkeypatch.setattr(
        "sys.argv", ["study_cells.py", "keep", "--root", str(tmp_path), "--output", str(tmp_path / "study")]
    )
    with pytest.raises(SystemExit, match="2"):
        study_cells.main()
    assert "kws is not installed" in capsys.readouterr().err
