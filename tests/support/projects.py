"""Projects of the studio for tests: recordings in them, and a check of takes that hears levels alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kws.workflows.project.folder import FoundInTake, Project, Role
from kws.workflows.takes import TakeCheck
from tests.support.training import noise, spoken

SILENT = "Nothing was heard."


class LevelChecker:
    """Takes the place of :class:`kws.workflows.takes.TakeChecker`: a take is silent or good."""

    def __init__(self, keyword: str, language: str) -> None:
        self.keyword, self.language = keyword, language

    def check(self, waveform: np.ndarray) -> TakeCheck:
        silent = float(np.abs(waveform).max(initial=0)) < 0.01
        return TakeCheck("silent" if silent else "", SILENT if silent else "", 0.0, 0.0, 0.0)


def fill(
    project: Project, role: Role, waveforms: Sequence[np.ndarray], speaker: str = "ann", fault: str = ""
) -> list[str]:
    """Put recordings into a project and return their names."""
    found = FoundInTake(fault, "what to do" if fault else "")
    return [project.add(role, waveform, speaker, found).name for waveform in waveforms]


def fill_for_training(project: Project) -> None:
    """Put in what `kws train` needs at least: ten recordings of a tone and half a minute of noise."""
    fill(project, "positives", [spoken(seed=seed) for seed in range(12)])
    fill(project, "negatives", [noise(4, seed) for seed in range(8)])
    fill(project, "noise", [noise(2, 60, 0.1)])
