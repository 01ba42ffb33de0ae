"""Finished cells of a study in one file, which prints its tables again without any audio.

`kws study` writes ``results.jsonl`` beside its tables. A folder that holds this file and no cells, such as
one in a repository, is reported from it alone; a study that is run on the same audio takes its cells.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kws.audio import atomic_write
from kws.errors import ConfigError
from kws.studies.grid import CELLS, Cell, cell_path
from kws.studies.recipe import StudyConfig
from kws.studies.results import CellResult, StudyResults, cell_result, write_cell

KEPT = "results.jsonl"


def write_kept(folder: Path, results: StudyResults) -> Path:
    """Write the finished cells, with what is known of the test clips.

    Args:
        folder: of the study.
        results: what is finished.
    """
    rows: list[dict[str, Any]] = [{"units": {name: list(units) for name, units in results.units.items()}}]
    rows += [{"cell": asdict(cell), **asdict(result)} for cell, result in results.cells.items()]
    path = folder / KEPT
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def only_kept(folder: Path) -> bool:
    """Tell whether a folder holds kept cells alone."""
    return (folder / KEPT).is_file() and not (folder / CELLS).exists()


def read_kept(folder: Path, config: StudyConfig) -> StudyResults:
    """Return the kept cells of the choices and numbers that a recipe has.

    Args:
        folder: that holds ``results.jsonl``.
        config: the recipe.
    Raises:
        ConfigError: the file is damaged, or was counted by another protocol.
    """
    units, cells = _rows(folder / KEPT)
    choices = config.all_choices()
    other = {result.protocol for result in cells.values()} - {config.protocol.hash}
    if other:
        raise ConfigError(
            f"{folder / KEPT}: counted by protocol {', '.join(sorted(map(repr, other)))}, and the recipe's "
            f"is {config.protocol.hash!r}; run the study again, or take the recipe that it was made with"
        )
    wanted = {
        cell: result
        for cell, result in cells.items()
        if cell.choice in choices
        and cell.recordings in (choices[cell.choice].recordings or config.recordings)
    }
    return StudyResults(
        choices=tuple(choices),
        conditions=config.condition_names(),
        rates=config.rates,
        compared_at=config.compared_at,
        cells=wanted,
        num_runs=len(config.keywords) * len(config.seeds),
        units=units,
        labels=config.labels,
    )


def restore(folder: Path) -> int:
    """Write the kept cells that are not there as files, so that they are not run again; return how many."""
    if not (folder / KEPT).is_file():
        return 0
    missing = [r for r in _rows(folder / KEPT)[1].values() if not cell_path(folder, r.identity).is_file()]
    for result in missing:
        write_cell(folder, result)
    return len(missing)


def _rows(path: Path) -> tuple[dict[str, list[str]], dict[Cell, CellResult]]:
    units: dict[str, list[str]] = {}
    cells = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
            if "units" in row:
                units = row["units"]
                continue
            cell = Cell(**row.pop("cell"))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{where}: is no finished cell of a study ({error}); remove the line"
            ) from error
        cells[cell] = cell_result(row, where)
    return units, cells
