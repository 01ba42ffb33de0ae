"""The cells of a study, in the order in which they are run, and where a finished one lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kws.studies.recipe import ALL, StudyConfig, sorted_recordings

CELLS = "cells"
"""Folder of finished cells."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training run and its test."""

    choice: str
    """Name in the recipe."""
    keyword: str
    """What is trained."""
    recordings: int | str
    """Number of training recordings, or ``all``."""
    seed: int
    """Of the draw and of training."""

    @property
    def name(self) -> str:
        """What the cell is called in messages and file names."""
        keyword, choice = (re.sub(r"[^\w.=+]+", "_", part).strip("_") for part in (self.keyword, self.choice))
        return f"{keyword}-{self.recordings}-{choice}-{self.seed}"

    @property
    def count(self) -> int | None:
        """Number of recordings; None is all."""
        return None if self.recordings == ALL else int(self.recordings)


def cells(config: StudyConfig) -> list[Cell]:
    """Return every cell: seed by seed, and within it from few recordings to all."""
    choices = config.all_choices()
    wanted = {name: choice.recordings or config.recordings for name, choice in choices.items()}
    return [
        Cell(name, keyword.keyword, number, seed)
        for seed in config.seeds
        for number in sorted_recordings([n for numbers in wanted.values() for n in numbers])
        for name in choices
        if number in wanted[name]
        for keyword in config.keywords
    ]


def cell_path(folder: Path, identity: str) -> Path:
    """Return the file of a finished cell."""
    return folder / CELLS / f"{identity}.json"
