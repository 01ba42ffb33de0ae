"""Which clips a detector misses: the one place that says whether a detection hits.

`kws eval`, `kws study` and the benchmarks count with it, by the rules of
:class:`kws.evaluation.protocol.TestProtocol`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kws.decisions import DecisionConfig
from kws.evaluation.metrics import ThresholdChoice, Track, choose_threshold, hits, pack


@dataclass(frozen=True, slots=True)
class MissCount:
    """What a detector misses in one condition at a rate of false accepts."""

    threshold: float | None
    """Lowest one that keeps to the rate, as do all above it; None where none does, and all clips count as
    missed."""
    missed: tuple[int, ...]
    """Indices of the clips that no detection hit."""
    clips: int
    """How many there are."""
    false_accepts: int
    """Detections in the negatives."""


@dataclass(frozen=True)
class Heard:
    """Scores of clips in one condition, and where the keyword may begin in them.

    Attributes:
        scores: (frames,) of each clip, its lead included.
        starts_s: where in the frames a detection may first hit, of each clip, in seconds; None accepts all.
    """

    scores: Sequence[np.ndarray]
    starts_s: Sequence[float] | None = None

    def first_frames(self, hop_s: float) -> np.ndarray:
        """Return (clips,) the first frame of each clip in which a detection hits."""
        if self.starts_s is None:
            return np.zeros(len(self.scores), np.int64)
        starts = np.ceil(np.asarray(self.starts_s, np.float64) / hop_s - 1)  # frame t ends at (t + 1) * hop_s
        return np.maximum(0, starts).astype(np.int64)


def keeps_to_rate(choice: ThresholdChoice) -> bool:
    """Tell whether a threshold keeps to the rate that it was chosen for on these negatives."""
    return choice.false_accepts.per_hour <= choice.target_per_hour + 1e-9


def missed_clips(track: Track, first_frames: np.ndarray, threshold: float) -> np.ndarray:
    """Return the indices of the clips that no detection hits.

    Args:
        track: of the clips.
        first_frames: (clips,) from :meth:`Heard.first_frames`.
        threshold: not below the floor of the track.
    """
    hit = hits(track.fire(threshold), first_frames).owners
    return np.setdiff1d(np.arange(len(first_frames)), hit)


def count_misses(
    positives: Mapping[str, Heard],
    negatives: np.ndarray,
    hours: float,
    rates: Sequence[float],
    config: DecisionConfig,
    hop_s: float,
) -> dict[str, dict[float, MissCount]]:
    """Return the misses by condition and rate of false accepts per hour.

    Args:
        positives: the clips by condition.
        negatives: (frames,) scores of the stream.
        hours: of its recordings.
        rates: false accepts per hour.
        config: smoothing and refractory time; its thresholds are not used.
        hop_s: seconds per frame.
    Raises:
        ConfigError: there are no hours, or a rate is not above 0.
    """
    choices = {rate: choose_threshold([negatives], hours, rate, config, hop_s) for rate in rates}
    found: dict[str, dict[float, MissCount]] = {}
    for condition, heard in positives.items():
        track, first, number = pack(heard.scores, config, hop_s), heard.first_frames(hop_s), len(heard.scores)
        found[condition] = {}
        for rate, choice in choices.items():
            kept = keeps_to_rate(choice)
            missed = missed_clips(track, first, choice.threshold) if kept else np.arange(number)
            found[condition][rate] = MissCount(
                choice.threshold if kept else None,
                tuple(map(int, missed)),
                number,
                choice.false_accepts.events,
            )
    return found
