"""A recording comes into a project: decoded within limits, checked, and put where it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kws import audio
from kws.errors import AudioError, ConfigError
from kws.workflows.project.folder import FoundInTake, Project, ProjectTake, Role

if TYPE_CHECKING:
    from kws.workflows.takes import TakeChecker

SILENT_DB = -70.0
"""Below this root mean square, against full scale, nothing was recorded: a muted microphone."""
SHORTEST_S = 0.1
"""Less than this is no recording."""


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """What a project holds at most."""

    positives_s: float = 30.0
    """Longest recording of the keyword, in seconds."""
    negatives_s: float = 3600.0
    """Longest recording of other speech, in seconds."""
    noise_s: float = 1800.0
    """Longest recording of noise, in seconds."""
    num_takes: int = 3000
    """Recordings of a project."""
    total_s: float = 20 * 3600.0
    """All of them together, in seconds."""

    def longest_s(self, role: Role) -> float:
        """Return the longest recording of a role, in seconds."""
        return {"positives": self.positives_s, "negatives": self.negatives_s, "noise": self.noise_s}[role]


def receive_take(
    project: Project,
    role: Role,
    path: Path,
    *,
    speaker: str = "",
    origin: str = "",
    text: str = "",
    limits: ProjectLimits | None = None,
) -> ProjectTake:
    """Decode a file, check it, and add it to a project, aside where it has a fault.

    Args:
        project: which.
        role: what it is.
        path: a file of any format that :func:`kws.audio.load` reads; it stays where it is.
        speaker: who speaks.
        origin: name that the file had where it comes from.
        text: what was read in other speech, where that is known.
        limits: None takes the usual ones.
    Raises:
        AudioError: it is no audio, or longer than its role allows.
        ConfigError: the project is full.
    """
    limits = limits or ProjectLimits()
    takes = project.takes()
    if len(takes) >= limits.num_takes or sum(take.length_s for take in takes) >= limits.total_s:
        raise ConfigError(
            f"this project holds {len(takes)} recordings, which is all that it may; delete some first"
        )
    waveform = read_within(path, limits.longest_s(role))
    found = check_take(project, role, waveform)
    return project.add(role, waveform, speaker, FoundInTake(found.fault, found.note, origin[:100]), text)


def read_within(path: Path, longest_s: float) -> np.ndarray:
    """Return (samples,) float32 at 16 kHz of a file that is no longer than so many seconds.

    Raises:
        AudioError: it is no audio, too short or too long; no more than the limit is decoded.
    """
    try:
        waveform = audio.load(path, length_s=longest_s + 1.0)
    except AudioError as error:  # whose path is one that the person never saw
        raise AudioError(str(error).replace(f"{path}: ", ""), kind=error.kind) from error
    length_s = audio.samples_to_seconds(len(waveform))
    if length_s > longest_s:
        raise AudioError(f"longer than {longest_s:g} s; cut it into shorter files", kind="form")
    if length_s < SHORTEST_S:
        raise AudioError(f"{length_s:.2f} s long; record it again", kind="empty")
    return waveform


def check_take(project: Project, role: Role, waveform: np.ndarray) -> FoundInTake:
    """Return what is wrong with a recording; of other speech and of noise only whether it is silent.

    Args:
        project: that it is for.
        role: what it is.
        waveform: (samples,) float32 at 16 kHz.
    """
    if role == "positives":
        settings = project.settings()
        check = checker(settings.keyword, settings.language).check(waveform)
        return FoundInTake(check.fault, check.note)
    level_db = 10 * np.log10(float(np.mean(np.square(waveform, dtype=np.float64))) + 1e-20)
    if level_db < SILENT_DB:
        return FoundInTake("silent", "Nothing was recorded: is the microphone muted, or another one in use?")
    return FoundInTake()


def warm_up(project: Project) -> None:
    """Load what checks recordings of a project, so that the first one is not waited for."""
    settings = project.settings()
    checker(settings.keyword, settings.language)


@lru_cache(maxsize=8)
def checker(keyword: str, language: str) -> TakeChecker:
    """Return what checks recordings of a keyword; it is kept, as it loads a recognizer."""
    from kws.workflows.takes import TakeChecker

    return TakeChecker(keyword, "en-us" if language == "en" else language)
