"""Finished cells: one JSON file each, whole or not there, and what a study knows once they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kws.audio import atomic_write
from kws.config import load_config
from kws.errors import ConfigError
from kws.evaluation.intervals import Proportion, proportion
from kws.evaluation.misses import MissCount
from kws.studies.grid import Cell, cell_path
from kws.studies.recipe import CONTROL, sorted_recordings

NOT_TRAINED = "none"
"""Precision of what was enrolled."""


@dataclass(frozen=True)
class CellResult:
    """What one cell gave."""

    identity: str
    """Hash of all that determines it."""
    keyword: str
    """What was trained."""
    num_recordings: int
    """Training recordings that were drawn."""
    seed: int
    """Of the draw and of training."""
    policy: str
    """Which layers moved."""
    miss_counts: dict[str, dict[str, MissCount]]
    """Condition -> rate of false accepts per hour, as text -> misses."""
    negative_hours: float
    """Hours of the test negatives."""
    original_hours: float
    """Of them, distinct originals."""
    stored_threshold: float
    """Chosen in training, on dev."""
    moving_parameters: int
    """Parameters that training changed."""
    parameters: int
    """Parameters of the detector."""
    train_s: float
    """Time of `kws train`, in seconds."""
    wall_s: float
    """Time of training, export and scoring, in seconds."""
    config_hash: str
    """Of the training run."""
    precision: str = "bf16-mixed"
    """In which it was trained, which depends on the machine; :data:`NOT_TRAINED` where nothing was."""
    protocol: str = ""
    """Hash of the protocol by which it was tested; empty in older files."""

    def miss_count(self, condition: str, rate: float) -> MissCount:
        """Return the misses in a condition at a rate."""
        return self.miss_counts[condition][f"{rate:g}"]


def write_cell(folder: Path, result: CellResult) -> Path:
    """Write a finished cell, under a temporary name first."""
    path = cell_path(folder, result.identity)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(asdict(result)) + "\n", encoding="utf-8")
    return path


def read_cell(folder: Path, identity: str) -> CellResult | None:
    """Return a finished cell, or None where there is none of this identity.

    Raises:
        ConfigError: the file is there and is of something else.
    """
    path = cell_path(folder, identity)
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: is no finished cell of a study ({error}); remove the file") from error
    result = cell_result(values, str(path))
    if result.identity != identity:
        raise ConfigError(f"{path}: holds cell {result.identity}; remove the file")
    return result


def cell_result(values: Any, where: str) -> CellResult:
    """Return a finished cell from plain values.

    Args:
        values: as :func:`write_cell` writes them.
        where: what they are called in messages.
    Raises:
        ConfigError: they are of something else.
    """
    try:
        counts = values.pop("readings", None) or values["miss_counts"]  # their name in older files
        values["miss_counts"] = {
            condition: {rate: load_config(MissCount, count, where) for rate, count in rates.items()}
            for condition, rates in counts.items()
        }
    except (KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{where}: is no finished cell of a study ({error}); remove the file") from error
    return load_config(CellResult, values, where)


@dataclass(frozen=True)
class StudyResults:
    """Everything that is finished of a study."""

    choices: tuple[str, ...]
    """Names, in the order of the recipe; the control last."""
    conditions: tuple[str, ...]
    """Of the test clips."""
    rates: tuple[float, ...]
    """False accepts per hour."""
    compared_at: float
    """The one at which choices are compared."""
    cells: Mapping[Cell, CellResult]
    """The finished ones."""
    num_runs: int
    """Cells that each choice has at a number of recordings: keywords times seeds."""
    units: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Keyword -> speaker of each test clip, or a name of the clip's own where none is known."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What a table calls a choice, where it is not its name."""

    def recordings(self, choice: str | None = None) -> list[int | str]:
        """Return the numbers of recordings that are finished, of one choice or of any."""
        return sorted_recordings([c.recordings for c in self.cells if choice in (None, c.choice)])

    def members(self, choice: str, recordings: int | str) -> dict[tuple[str, int], CellResult]:
        """Return the finished cells of a choice at a number of recordings, by keyword and seed."""
        return {
            (cell.keyword, cell.seed): result
            for cell, result in self.cells.items()
            if (cell.choice, cell.recordings) == (choice, recordings)
        }

    def num_recordings(self, recordings: int | str) -> float:
        """Return the number of recordings, the mean over keywords where it is ``all``."""
        if isinstance(recordings, int):
            return float(recordings)
        drawn = {
            cell.keyword: result.num_recordings
            for cell, result in self.cells.items()
            if cell.recordings == recordings
        }
        return float(np.mean(list(drawn.values())))

    def misses(self, choice: str, recordings: int | str, condition: str, rate: float) -> Proportion:
        """Return the misses over all keywords and seeds together, with the exact interval."""
        counts = [r.miss_count(condition, rate) for r in self.members(choice, recordings).values()]
        return proportion(sum(len(r.missed) for r in counts), sum(r.clips for r in counts))

    def mean_miss_rate(self, choice: str, recordings: int | str) -> float:
        """Return the miss rate at the compared rate, averaged over conditions."""
        rates = [self.misses(choice, recordings, name, self.compared_at).rate for name in self.conditions]
        return float(np.mean(rates))

    def complete(self, choice: str, recordings: int | str) -> bool:
        """Tell whether no cell of a choice at a number of recordings is missing."""
        return len(self.members(choice, recordings)) == self.num_runs

    def has_control(self) -> bool:
        """Tell whether any cell of the control is finished."""
        return any(cell.choice == CONTROL for cell in self.cells)
