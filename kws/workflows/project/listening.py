"""The model of a project on live audio at any rate, with a threshold that can be moved while it listens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.decisions import DecisionState, Detection, decide
from kws.detector import Detector
from kws.errors import ConfigError
from kws.resampling import Resampler

RATES_HZ = (8_000, 192_000)
"""Lowest and highest rate of a microphone."""


@dataclass(frozen=True, slots=True)
class LiveScores:
    """What one piece of audio brought.

    Attributes:
        scores: (frames,) of the keyword, one each ``hop_s``, before smoothing.
        detections: at the threshold that is set.
    """

    scores: np.ndarray
    detections: list[Detection]


class LiveTest:
    """Listens to one stream of audio for the first keyword of a model.

    Args:
        model: exported file, or the folder that holds it.
        rate_hz: of the audio.
        threshold: None takes the model's own.
    Raises:
        ConfigError: rate or threshold is out of range.
        CheckpointError: the model cannot be opened.
    """

    def __init__(self, model: Path, rate_hz: int, threshold: float | None = None) -> None:
        low, high = RATES_HZ
        if not low <= rate_hz <= high:
            raise ConfigError(f"`rate_hz`: got {rate_hz}, allowed: {low} to {high}")
        self._detector = Detector(model)
        self._resampler = Resampler(rate_hz, SAMPLE_RATE)
        self._state: DecisionState | None = None
        self._config = self._detector.decision_config
        if threshold is not None:
            self.set_threshold(threshold)

    @property
    def hop_s(self) -> float:
        """Time from one score to the next, in seconds."""
        return self._detector.hop_s

    @property
    def threshold(self) -> float:
        """The threshold that is set."""
        return self._config.thresholds[0]

    def set_threshold(self, threshold: float) -> None:
        """Decide by another threshold from here on; what was heard so far still counts.

        Raises:
            ConfigError: it is out of range.
        """
        if not 0 <= threshold <= 1:
            raise ConfigError(f"`threshold`: got {threshold}, allowed: 0 to 1")
        others = self._config.thresholds[1:]
        self._config = replace(self._config, thresholds=(threshold, *others))

    def push(self, pcm: np.ndarray) -> LiveScores:
        """Take the next audio.

        Args:
            pcm: (samples,) int16 at the rate of the stream, any number.
        """
        waveform = self._resampler.push(pcm.astype(np.float32) / 32_768.0, last=False)
        scores = self._detector.scores(waveform)
        detections, self._state = decide(
            scores, self._detector.keywords, self._config, self.hop_s, self._state
        )
        return LiveScores(scores[:, 0], detections)
