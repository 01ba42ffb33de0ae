"""Cells kept in one file: they tell a study again without any audio, and are not run again with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kws.cli import main
from kws.errors import ConfigError
from kws.studies.grid import Cell, cell_path
from kws.studies.kept import only_kept, read_kept, restore, write_kept
from kws.studies.recipe import load_study
from kws.studies.results import read_cell
from kws.studies.tables import short_table
from tests.support.studies import cell_result, study_of

RECIPE: dict[str, Any] = {
    "keywords": [{"keyword": "tone", "train": ["nowhere"], "test": ["nowhere"]}],
    "negatives": ["nowhere"],
    "test_negatives": ["nowhere"],
    "protocol": {"conditions": {"clean": {}, "noise": {"snr_db": 3.0}}},
    "rates": [1.0],
    "recordings": [5, "all"],
    "seeds": [0, 1],
    "choices": {"head": {"policy": "head"}, "typed": {"enroll": "phones", "recordings": [0]}},
    "control": False,
    "labels": {"typed": "the typed phrase"},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return path


@pytest.fixture
def kept(recipe: Path, tmp_path: Path) -> Path:
    """A folder that holds four cells, one of a number that the recipe does not have."""
    protocol = load_study(recipe).protocol.hash
    cells = {
        Cell("head", "tone", 5, 0): cell_result({"clean": [1], "noise": [0, 1]}, identity="a" * 12),
        Cell("head", "tone", 5, 1): cell_result({"clean": [], "noise": [4]}, identity="b" * 12),
        Cell("head", "tone", 50, 0): cell_result({"clean": [9], "noise": [9]}, identity="c" * 12),
        Cell("typed", "tone", 0, 0): cell_result({"clean": [2, 3], "noise": [2]}, identity="d" * 12),
    }
    folder = tmp_path / "kept"
    found = study_of({cell: replace(result, protocol=protocol) for cell, result in cells.items()})
    write_kept(folder, found)
    return folder


def test_a_study_is_told_without_audio_and_nothing_is_written(
    recipe: Path, kept: Path, capsys: pytest.CaptureFixture[str]
):
    assert only_kept(kept)
    assert main(["study", str(recipe), "--output", str(kept), "--report"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Misses in % at 1 false accept per hour; 1 keyword, 2 h of negatives."
    assert lines[-4:] == [
        "| recordings | detector | draws | clean | noise |",
        "| --- | --- | --- | --- | --- |",
        "| none | the typed phrase | 1 | 20.0 | 10.0 |",
        "| 5 | head | 2 | 5.0 | 15.0 |",
    ]
    assert [path.name for path in kept.iterdir()] == ["results.jsonl"]


def test_cells_come_back_as_they_were(recipe: Path, kept: Path):
    found = read_kept(kept, load_study(recipe))
    assert {cell.name for cell in found.cells} == {"tone-5-head-0", "tone-5-head-1", "tone-0-typed-0"}
    assert found.units == {"tone": [f"tone {index}" for index in range(10)]}
    assert restore(kept) == 4 and restore(kept) == 0
    assert not only_kept(kept)
    for cell, result in found.cells.items():
        assert read_cell(kept, result.identity) == result and cell_path(kept, result.identity).is_file(), cell
    assert short_table(found)[1][1] == ["5", "head", "2", "5.0", "15.0"]


def test_rows_of_another_protocol_are_refused(recipe: Path, kept: Path):
    other = load_study(recipe, {"protocol": {"seed": 7}})
    with pytest.raises(
        ConfigError, match=f"counted by protocol '.*', and the recipe's is '{other.protocol.hash}'"
    ):
        read_kept(kept, other)


def test_a_damaged_row_is_named(recipe: Path, kept: Path):
    path = kept / "results.jsonl"
    path.write_text(path.read_text("utf-8") + json.dumps({"cell": {"choice": "head"}}) + "\n")
    with pytest.raises(ConfigError, match="results.jsonl, line 6: is no finished cell"):
        read_kept(kept, load_study(recipe))
