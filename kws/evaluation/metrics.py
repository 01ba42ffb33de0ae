"""Misses, false accepts and latency, counted in events by :func:`kws.decisions.decide` alone.

Hours of frames are packed once, leaving out stretches in which nothing can fire, so that hundreds of
thresholds cost little. Training calls :func:`choose_threshold` on dev; the evaluation calls all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.decisions import DecisionConfig, decide, smooth
from kws.errors import ConfigError
from kws.evaluation.intervals import ZERO_EVENTS, HourlyRate, Proportion, hourly_rate, number, proportion

HIGHEST_FALSE_ACCEPTS_PER_HOUR = 100.0
"""Thresholds below the one for this rate are not swept: no device can be used there."""

EXACT_PEAKS = 64
"""The highest peaks of the negatives are each a threshold; further ones are spaced by rank on a log scale."""

MAX_THRESHOLDS = 300

LOGIT_STEP = 1e-3
"""How far above a peak a threshold that shall reject it lies, in logits: above differences between
runtimes."""

BELOW_ALL = -1.0
"""Score that reaches no threshold; fills the gaps between clips."""


@dataclass(frozen=True, slots=True)
class Events:
    """What fired at one threshold."""

    owners: np.ndarray
    """(events,) which clip or stream."""
    frames: np.ndarray
    """(events,) frame within it."""
    scores: np.ndarray
    """(events,) smoothed score of that frame."""


@dataclass(frozen=True, slots=True)
class Track:
    """Smoothed scores of one keyword over clips or streams, without stretches where nothing can fire.

    Attributes:
        values: (kept,) smoothed scores; clips are kept apart by frames of ``BELOW_ALL``.
        owners: (kept,) which clip or stream a frame belongs to.
        frames: (kept,) its index there.
        floor: smallest threshold that :meth:`fire` may be asked for.
        refractory_s: shortest time between two detections, in seconds.
        hop_s: time between two frames, in seconds.
    """

    values: np.ndarray
    owners: np.ndarray
    frames: np.ndarray
    floor: float
    refractory_s: float
    hop_s: float

    def fire(self, threshold: float) -> Events:
        """Return what :func:`decide` fires at a threshold, each clip from a cold start.

        Raises:
            ConfigError: the threshold is below ``floor``.
        """
        if threshold < self.floor:
            raise ConfigError(
                f"threshold {threshold} is below the floor {self.floor} that the scores were packed for"
            )
        config = DecisionConfig((threshold,), smoothing_frames=1, refractory_s=self.refractory_s)
        detections, _ = decide(self.values[:, None], ("",), config, self.hop_s)
        index = np.array([detection.frame for detection in detections], np.int64)
        return Events(self.owners[index], self.frames[index], self.values[index])


def hits(events: Events, first_frames: Sequence[int] | np.ndarray) -> Events:
    """Keep what fired in a clip once its phrase had begun; what fires before it has not heard it.

    Args:
        events: what fired in positive clips.
        first_frames: (clips,) first frame at which the phrase may be heard; 0 accepts all.
    """
    kept = events.frames >= np.asarray(first_frames, np.int64)[events.owners]
    return Events(events.owners[kept], events.frames[kept], events.scores[kept])


def pack(scores: Sequence[np.ndarray], config: DecisionConfig, hop_s: float, floor: float = 0.0) -> Track:
    """Smooth scores and pack them for many thresholds.

    Args:
        scores: (frames,) of each clip or stream, which starts from silence.
        config: smoothing and refractory time; its thresholds are not used.
        hop_s: time between two frames, in seconds.
        floor: no threshold below it will be asked for, 0 or more.
    """
    return _compress(_smoothed(scores, config), config, hop_s, floor)


def _smoothed(scores: Sequence[np.ndarray], config: DecisionConfig) -> list[np.ndarray]:
    """Smooth each clip from a cold start; (frames,) float64 each."""
    before = np.zeros((config.frames_before, 1))
    return [smooth(np.asarray(clip)[:, None], before, config.patience)[:, 0] for clip in scores]


def _compress(smoothed: Sequence[np.ndarray], config: DecisionConfig, hop_s: float, floor: float) -> Track:
    """Keep frames at or above the floor, and after each run of them as many as the refractory time holds.

    A detector is armed again after so many frames below the threshold, so what follows is as in the whole
    stream.
    """
    gap = math.ceil(config.refractory_s / hop_s) + 1
    values, owners, frames = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for owner, clip in enumerate(smoothed):
        index = np.arange(len(clip))
        last_active = np.maximum.accumulate(np.where(clip >= floor, index, -gap - 1))
        kept = np.flatnonzero(index - last_active <= gap)
        if kept.size:
            values += [clip[kept], np.full(gap, BELOW_ALL)]
            owners += [np.full(kept.size + gap, owner)]
            frames += [kept, np.full(gap, -1)]
    return Track(
        np.concatenate(values),
        np.concatenate(owners),
        np.concatenate(frames),
        floor,
        config.refractory_s,
        hop_s,
    )


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """A threshold for a wished rate of false accepts."""

    threshold: float
    """Lowest one, such that it and all higher ones keep to the rate."""
    target_per_hour: float
    """The wished rate."""
    false_accepts: HourlyRate
    """What was counted at it."""
    reason: str | None
    """Why the rate is not shown to be kept; None when it is."""

    @property
    def resolved(self) -> bool:
        """The negatives suffice to tell that the rate is kept."""
        return self.reason is None


def choose_threshold(
    negatives: Sequence[np.ndarray],
    hours: float,
    target_per_hour: float,
    config: DecisionConfig,
    hop_s: float,
) -> ThresholdChoice:
    """Find the lowest threshold whose false accepts per hour keep to a target on negative audio.

    Args:
        negatives: (frames,) scores of one keyword per stream.
        hours: of the audio that they are of.
        target_per_hour: false accepts per hour, above 0.
        config: smoothing and refractory time; its thresholds are not used.
        hop_s: time between two frames, in seconds.
    Returns:
        The threshold, with the reason when the hours are too few to resolve the rate (fewer than 3 / target)
        or no threshold keeps to it.
    Raises:
        ConfigError: the target or the hours are not above 0.
    """
    if not 0 < target_per_hour < math.inf:
        raise ConfigError(f"false accepts per hour: got {target_per_hour}, expected above 0, such as 0.5")
    hourly_rate(0, hours)  # checks the hours
    allowed = math.floor(target_per_hour * hours + 1e-9)
    smoothed = _smoothed(negatives, config)
    # A block of the refractory time holds one detection at most. So above the block maximum of rank
    # `allowed` + 1 the rate is kept, and the search goes down from there.
    peaks = block_peaks(smoothed, config, hop_s)
    enough = just_above(peaks[allowed]) if allowed < peaks.size else 0.0
    bottom = peaks[min(2 * allowed + EXACT_PEAKS, peaks.size - 1)] if peaks.size else 0.0
    track = _compress(smoothed, config, hop_s, max(0.0, min(bottom, enough)))
    candidates = np.unique(track.values[(track.values >= track.floor) & (track.values < enough)])[::-1]
    good = enough
    # The first threshold that breaks the rate ends the search; many scores are searched coarsely first.
    while candidates.size:
        coarse = candidates[:: max(1, candidates.size // 2048)]
        bad = next((c for c in coarse if track.fire(just_above(c)).frames.size > allowed), None)
        passed = coarse if bad is None else coarse[coarse > bad]
        good = min([good, *(just_above(c) for c in passed)])
        low = candidates[-1] - 1 if bad is None else bad
        high = passed.min() if passed.size else np.inf
        candidates = candidates[(candidates > low) & (candidates < high)]
    counted = hourly_rate(track.fire(good).frames.size, hours)
    return ThresholdChoice(good, target_per_hour, counted, _doubt(counted, target_per_hour))


def _doubt(counted: HourlyRate, target_per_hour: float) -> str | None:
    """Say why a rate is not shown to be kept, or None."""
    if counted.per_hour > target_per_hour:
        return (
            f"even the highest threshold gives {counted.events} false accepts in {counted.hours:.2g} h, "
            f"more than {number(target_per_hour)} per hour; train longer, or with negatives like these"
        )
    wanted = ZERO_EVENTS / target_per_hour
    if counted.hours < wanted:
        return (
            f"{counted.hours:.2g} h of negatives are too few to show {number(target_per_hour)} per hour; "
            f"give {number(wanted)} h or more"
        )
    return None


def logit(scores: np.ndarray) -> np.ndarray:
    """Return scores on the scale on which they spread evenly."""
    scores = np.asarray(scores, np.float64)
    with np.errstate(divide="ignore"):
        spread: np.ndarray = np.log(scores) - np.log1p(-scores)
        return spread


def just_above(score: float) -> float:
    """Return the threshold that a score does not reach, at most 1."""
    raised = (
        1 / (1 + math.exp(-min(float(logit(np.array(score))) + LOGIT_STEP, 700.0)))
        if 0 < score < 1
        else score
    )
    return float(min(1.0, max(raised, np.nextafter(np.float32(score), np.float32(2.0)))))


def block_peaks(smoothed: Sequence[np.ndarray], config: DecisionConfig, hop_s: float) -> np.ndarray:
    """Return the maxima of blocks of the refractory time, highest first: no block can fire twice."""
    block = max(1, math.ceil(config.refractory_s / hop_s - 1e-9))
    peaks = [np.zeros(0)]
    for stream in smoothed:
        if stream.size:
            peaks.append(np.maximum.reduceat(stream, np.arange(0, stream.size, block)))
    return np.sort(np.concatenate(peaks))[::-1]


def negative_peaks(negatives: Sequence[np.ndarray], config: DecisionConfig, hop_s: float) -> np.ndarray:
    """Return the smoothed maxima of blocks of the refractory time, highest first.

    Args:
        negatives: (frames,) scores of one keyword per stream.
        config: smoothing and refractory time; its thresholds are not used.
        hop_s: time between two frames, in seconds.
    """
    return block_peaks(_smoothed(negatives, config), config, hop_s)


@dataclass(frozen=True, slots=True)
class DetPoint:
    """One threshold of a sweep."""

    threshold: float
    misses: Proportion
    false_accepts: HourlyRate


@dataclass(frozen=True, slots=True)
class Sweep:
    """Misses and false accepts over thresholds, ascending."""

    thresholds: np.ndarray
    """(thresholds,)"""
    num_missed: np.ndarray
    """(thresholds,) positive clips in which nothing fired once the phrase had begun."""
    num_false_accepts: np.ndarray
    """(thresholds,) detections in the negatives."""
    num_positives: int
    """Positive clips."""
    hours: float
    """Of negatives."""

    def point(self, index: int) -> DetPoint:
        """Return one threshold with its intervals."""
        return DetPoint(
            float(self.thresholds[index]),
            proportion(int(self.num_missed[index]), self.num_positives),
            hourly_rate(int(self.num_false_accepts[index]), self.hours),
        )

    def miss_rate_at(self, false_accepts_per_hour: float) -> DetPoint | None:
        """Return the lowest threshold that keeps to the rate, as do all above it; None when none does.

        Below a certain threshold false accepts become fewer again, as they merge into one long burst; those
        thresholds do not count.
        """
        over = np.flatnonzero(self.num_false_accepts > false_accepts_per_hour * self.hours + 1e-9)
        first = int(over[-1]) + 1 if over.size else 0
        return self.point(first) if first < self.thresholds.size else None

    def points(self) -> list[DetPoint]:
        """Return the DET curve, from strict to lenient: fewest misses for each number of false accepts."""
        last = int(self.num_false_accepts.argmax()) if self.thresholds.size else 0
        best: dict[int, int] = {}
        for index in range(self.thresholds.size - 1, last - 1, -1):  # down: misses never rise
            best[int(self.num_false_accepts[index])] = index
        curve: list[int] = []
        for count in sorted(best):
            if not curve or self.num_missed[best[count]] < self.num_missed[curve[-1]]:
                curve.append(best[count])
        return [self.point(index) for index in curve]


def sweep(
    positives: Sequence[np.ndarray],
    negatives: Sequence[np.ndarray],
    hours: float,
    config: DecisionConfig,
    hop_s: float,
    *,
    first_frames: Sequence[int] | np.ndarray | None = None,
    thresholds: Sequence[float] | None = None,
    include: Sequence[float] = (),
) -> Sweep:
    """Count misses and false accepts over thresholds.

    Args:
        positives: (frames,) scores of one keyword per positive clip; each starts from a cold start.
        negatives: (frames,) scores per stream of audio without the keyword.
        hours: of the negatives.
        config: smoothing and refractory time; its thresholds are not used.
        hop_s: time between two frames, in seconds.
        first_frames: (positives,) frame before which a detection is no hit; None accepts all.
        thresholds: None takes up to 300 where counts change: the highest peaks of the negatives each, lower
            ones by rank, and quantiles of the positives' peaks.
        include: thresholds in addition.
    Raises:
        ConfigError: no positive clips, or no hours.
    """
    proportion(0, len(positives))  # checks that there are any
    hourly_rate(0, hours)
    smoothed_positives, smoothed_negatives = _smoothed(positives, config), _smoothed(negatives, config)
    if thresholds is None:
        peaks = block_peaks(smoothed_negatives, config, hop_s)
        thresholds = [float(threshold) for threshold in _grid(smoothed_positives, peaks, hours)]
    grid = np.unique([*thresholds, *include])
    floor = float(grid[0]) if grid.size else 0.0
    positive_track = _compress(smoothed_positives, config, hop_s, floor)
    negative_track = _compress(smoothed_negatives, config, hop_s, floor)
    first = np.zeros(len(positives), np.int64) if first_frames is None else first_frames
    heard = [np.unique(hits(positive_track.fire(threshold), first).owners).size for threshold in grid]
    false_accepts = [negative_track.fire(threshold).frames.size for threshold in grid]
    missed = len(positives) - np.array(heard, np.int64)
    return Sweep(grid, missed, np.array(false_accepts, np.int64), len(positives), hours)


def _grid(positives: Sequence[np.ndarray], negative_peaks: np.ndarray, hours: float) -> np.ndarray:
    """Choose the thresholds at which counts change."""
    highest = negative_peaks[: max(EXACT_PEAKS, math.ceil(HIGHEST_FALSE_ACCEPTS_PER_HOUR * hours))]
    ranks = np.arange(min(EXACT_PEAKS, highest.size))
    if highest.size > EXACT_PEAKS:
        ranks = np.unique(
            np.concatenate([ranks, np.geomspace(EXACT_PEAKS, highest.size - 1, 64).astype(int)])
        )
    from_negatives = [just_above(peak) for peak in np.unique(highest[ranks])]
    floor = from_negatives[0] if from_negatives and negative_peaks.size > highest.size else 0.0
    peaks = np.unique([clip.max() for clip in positives if clip.size])
    peaks = peaks[peaks >= floor]
    room = MAX_THRESHOLDS - len(from_negatives) - 2
    if peaks.size > room:
        peaks = np.quantile(peaks, np.linspace(0, 1, room), method="nearest")
    return np.unique([*from_negatives, *peaks, 1.0])


@dataclass(frozen=True, slots=True)
class Latency:
    """Time from the end of the phrase to the frame that fired, in seconds; negative is before its end."""

    num_clips: int
    p50_s: float
    p95_s: float


def latency(events: Events, ends_s: Sequence[float] | np.ndarray, hop_s: float) -> Latency | None:
    """Return the latency of the first detection in each clip.

    Args:
        events: what fired in positive clips.
        ends_s: end of the phrase per clip, in seconds.
        hop_s: time between two frames, in seconds.
    Returns:
        None when nothing fired.
    """
    owners, first = np.unique(events.owners, return_index=True)  # the first of each, as events are in order
    if owners.size == 0:
        return None
    delays_s = (events.frames[first] + 1) * hop_s - np.asarray(ends_s)[owners]
    p50_s, p95_s = np.percentile(delays_s, [50, 95])
    return Latency(int(owners.size), float(p50_s), float(p95_s))
