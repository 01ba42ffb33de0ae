"""What an evaluation found, as data: written to JSON, read by the report, printed by the command."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kws.evaluation.intervals import ZERO_EVENTS, HourlyRate, Proportion, number
from kws.evaluation.metrics import DetPoint, Latency
from kws.evaluation.protocol import CLEAN, TestProtocol
from kws.manifest import Recording


@dataclass(frozen=True, slots=True)
class GroupResult:
    """Misses of a part of the positive clips at one threshold."""

    field: str
    """What divides the clips: ``condition``, ``gender`` or ``age``."""
    value: str
    """Which part."""
    misses: Proportion
    latency: Latency | None

    @property
    def name(self) -> str:
        """Return what the group is called in tables and pictures."""
        return self.value if self.field == "condition" else f"{self.field}: {self.value}"


@dataclass(frozen=True, slots=True)
class SpeakerResult:
    """Misses by speaker, each of whom counts as much as another, at one threshold."""

    num_speakers: int
    mean: float
    """Miss rate of the mean speaker."""
    worst: float
    """Mean miss rate of the tenth of the speakers who are missed most."""


@dataclass(frozen=True, slots=True)
class OperatingResult:
    """What one threshold gives."""

    name: str
    """``stored threshold``, or the rate that it keeps to."""
    target_per_hour: float | None
    """Rate of false accepts that it was chosen for on these negatives; None for the stored one."""
    threshold: float
    misses: Proportion
    false_accepts: HourlyRate
    latency: Latency | None
    groups: tuple[GroupResult, ...]
    note: str | None
    """Why no threshold keeps to the rate; None when one does."""
    speakers: SpeakerResult | None = None
    """None where fewer than ten are known."""


@dataclass(frozen=True, slots=True)
class Example:
    """A stretch of audio to look at and listen to."""

    kind: Literal["hit", "miss", "false accept", "closest"]
    """``closest`` is a stretch of the negatives with a high score below the threshold."""
    utterance: Recording
    start_s: float
    """Where the stretch starts in the recording, in seconds."""
    length_s: float
    times_s: np.ndarray
    """(frames,) end of each frame, in seconds from the start of the stretch."""
    scores: np.ndarray
    """(frames,) smoothed scores."""
    peak: float
    """Largest score of the clip or burst."""
    fired_s: float | None
    """Where it fired, from the start of the stretch."""
    speech_end_s: float | None
    """End of the phrase, from the start of the stretch; None in negatives."""


@dataclass(frozen=True, slots=True)
class HardNegative:
    """A place in the negatives with a high score: material for the next training."""

    path: str
    time_s: float
    """In the file, in seconds."""
    score: float
    text: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class KeywordResult:
    """Everything about one keyword."""

    keyword: str
    stored_threshold: float
    num_positives: int
    num_positive_originals: int
    """Different recordings among them: copies with other noise count once."""
    num_speakers: int
    """Known speakers among them."""
    operating: tuple[OperatingResult, ...]
    """The stored threshold first."""
    det: tuple[DetPoint, ...]
    """From strict to lenient."""
    hardest_negatives: tuple[HardNegative, ...]
    examples: tuple[Example, ...] = field(default=(), repr=False)
    """For the report; not in the JSON."""
    det_by_condition: dict[str, tuple[DetPoint, ...]] = field(default_factory=dict)
    """The same curve for the clips of each condition, such as noise and rooms, where there are any."""
    condition: str = CLEAN
    """In which the clips were heard, unless a group says otherwise."""
    num_trained_on: int | None = None
    """Clips that the model was trained on or its threshold chosen by; None where that is unknown."""

    def notes(self) -> list[str]:
        """Say what makes the figures too good."""
        if not self.num_trained_on:
            return []
        return [
            f"{self.num_trained_on} of the {self.num_positives} clips were trained on, or the threshold "
            "chosen by them: fewer are missed than of new ones"
        ]


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What :func:`kws.evaluation.evaluate.evaluate` found."""

    model: str
    keywords: tuple[KeywordResult, ...]
    negative_hours: float
    """Of the recordings, changed copies included."""
    original_hours: float
    """Of them, without copies."""
    num_negatives: int
    num_negative_originals: int
    """Different recordings among them."""
    num_negative_speakers: int
    """Known speakers among them."""
    num_left_out: int
    """Recordings of the negatives that hold a keyword by their label or text, and were left out."""
    protocol: TestProtocol
    """By which it was counted."""
    provenance: dict[str, Any]
    """Command, seed, hashes of model and configuration, versions, and what the caller adds."""
    num_copies_left_out: int = 0
    """Recordings of the negatives that are positives as well, and were left out."""
    num_negatives_trained_on: int | None = None
    """Negatives that the model was trained on or its threshold chosen by; None where that is unknown."""

    def notes(self) -> list[str]:
        """Say what was left out as a copy, and what makes the figures too good."""
        found = []
        if self.num_copies_left_out:
            found.append(
                f"{self.num_copies_left_out} negatives are given as positives as well and were left out"
            )
        if self.num_negatives_trained_on:
            found.append(
                f"{self.num_negatives_trained_on} of the {self.num_negatives} negatives were trained on, or "
                "the threshold chosen by them: fewer false accepts are in them than in new ones"
            )
        found += self._unshown()
        return found

    def _unshown(self) -> list[str]:
        """Say which rates the hours are too few to show."""
        rates = [entry.target_per_hour for entry in self.keywords[0].operating] if self.keywords else []
        unshown = [rate for rate in rates if rate is not None and self.negative_hours * rate < ZERO_EVENTS]
        if not unshown:
            return []
        *others, last = map(number, sorted(unshown))
        told = f"{', '.join(others)} or {last}" if others else last
        enough = number(ZERO_EVENTS / min(unshown))
        return [
            f"{self.negative_hours:.2g} h of negatives are too few to show {told} per hour; "
            f"give {enough} h or more"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, without examples."""
        values: dict[str, Any] = _plain(self)
        return values


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            entry.name: _plain(getattr(value, entry.name))
            for entry in dataclasses.fields(value)
            if entry.name != "examples"
        }
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
