"""Everything that tunes ``kws enroll``, as YAML gives it; each part is next to what it tunes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kws.config import above_zero, at_least
from kws.decisions import DecisionSettings
from kws.enrollment.examples import CalibrationConfig, FitConfig, ShippedSpeechConfig
from kws.enrollment.heard import HearingConfig
from kws.enrollment.notes import DoubtsConfig
from kws.enrollment.typed import RecordingsConfig


@dataclass(frozen=True, slots=True)
class ExamplesConfig:
    """What a layer is fitted to. A few people tell less of how others speak than many voices (docs/log)."""

    num_voices: int = 600
    """Synthetic recordings of each phrase."""
    num_near: int = 240
    """Synthetic recordings of its parts and of what sounds like it, for a phrase of several words."""
    near_copies: int = 2
    """Copies of each of those: the first as it is, the others augmented."""
    recorded_copies: int = 24
    """Copies of each recording: the first as it is, the others augmented."""
    recorded_weight: float = 0.2
    """Weight of all copies of recordings, beside that of synthetic voices."""
    voice_copies: int = 4
    """Copies of each synthetic recording, all augmented."""
    voice_weight: float = 0.8
    """Weight of all copies of synthetic recordings."""
    hiss: float = 1e-3
    """Deviation of the noise in near silence around an example, as a share of the recording's peak."""

    def __post_init__(self) -> None:
        above_zero("examples", self, "num_voices", "recorded_copies", "recorded_weight")
        above_zero("examples", self, "voice_copies", "voice_weight", "near_copies")
        at_least(0, "examples", self, "hiss", "num_near")

    def recorded(self) -> ExampleShare:
        """Return how much recordings count."""
        return ExampleShare(range(self.recorded_copies), self.recorded_weight)

    def synthetic(self) -> ExampleShare:
        """Return how much synthetic voices count."""
        return ExampleShare(range(1, 1 + self.voice_copies), self.voice_weight)


class ExampleShare(NamedTuple):
    """How much examples of one origin count.

    Attributes:
        copies: of each; copy 0 is as it is, the others are augmented.
        weight: of all of them together.
    """

    copies: range
    weight: float


@dataclass(frozen=True, slots=True)
class EnrollConfig:
    """How a detector is made of a typed phrase; its hash is part of what a run and a cell are known by."""

    decision: DecisionSettings = field(default_factory=DecisionSettings)
    """Smoothing, times, and the rate that the thresholds are chosen for."""
    recordings: RecordingsConfig = field(default_factory=RecordingsConfig)
    """Which recordings of the phrase are used."""
    examples: ExamplesConfig = field(default_factory=ExamplesConfig)
    """What a layer is fitted to."""
    hearing: HearingConfig = field(default_factory=HearingConfig)
    """How the encoder's first layers hear examples and own background."""
    fit: FitConfig = field(default_factory=FitConfig)
    """The search for the layer."""
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    """The scale of its scores."""
    shipped_speech: ShippedSpeechConfig = field(default_factory=ShippedSpeechConfig)
    """What thresholds on the background speech of the package are worth."""
    dev_copies: int = 3
    """Augmented copies of own speech that thresholds are chosen on as well; fewer where it is long."""
    doubts: DoubtsConfig = field(default_factory=DoubtsConfig)
    """From where on it is said that a phrase makes a poor wake word."""

    def __post_init__(self) -> None:
        at_least(0, "enroll", self, "dev_copies")
