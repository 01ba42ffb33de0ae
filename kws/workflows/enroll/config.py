"""Everything that tunes ``kws enroll``, as YAML gives it; each part is next to what it tunes."""

from __future__ import annotations

from dataclasses import dataclass, field

from kws.config import at_least
from kws.decisions import DecisionSettings
from kws.enrollment.examples import CalibrationConfig, FitConfig, ShippedSpeechConfig
from kws.enrollment.heard import HearingConfig
from kws.enrollment.notes import DoubtsConfig
from kws.enrollment.typed import RecordingsConfig
from kws.workflows.enroll.examples import ExamplesConfig


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
