"""Frame scores to detections: smoothing, patience, threshold, refractory time and competition.

It is the one implementation.

Called by :class:`kws.detector.Detector` on every push of audio and by the evaluation on hours of frames at
many thresholds. Needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kws.errors import CheckpointError, ConfigError

COMPETE_S = 0.5
"""Time in which look-alikes compete where a file says nothing else: no two phrases are said within it."""

THRESHOLD_FLOOR = 0.5
"""Least threshold of trained scores that few hours of speech cannot show."""
QUIET_SCORES = 64
"""Most scores of a push, frames times keywords, that are looked at one by one before all else."""

SURE = 1e-7
"""Scores nearer to 0 or 1 count as so near: float32 holds no more."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One event: a keyword was heard."""

    keyword: str
    """Which keyword."""
    score: float
    """Smoothed score of the frame that fired; with patience the least of those that confirmed it."""
    time_s: float
    """End of the frame that fired, in seconds from the start of the stream."""
    frame: int
    """Index of the frame that fired, from the start of the stream."""


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """How scores shall become detections, and by which rule their thresholds are chosen.

    Training, enrolment, tests, studies and export hand this one object on; a model folder stores it.
    """

    false_accepts_per_hour: float = 0.5
    """Rate that the threshold of each keyword is chosen for, per hour of audio."""
    smoothing_frames: int = 1
    """Length of the causal moving average, in frames; 1 smooths nothing."""
    refractory_s: float = 1.0
    """Shortest time between two detections of the same keyword, in seconds; it swallows echoes."""
    compete_s: float = COMPETE_S
    """Shortest time between detections of two keywords, in seconds; see :class:`DecisionConfig`."""
    threshold_floor: float = THRESHOLD_FLOOR
    """Least threshold, a score from 0 to 1, where the hours of speech are too few to show the rate."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.false_accepts_per_hour) and self.false_accepts_per_hour > 0):
            raise ConfigError(
                f"false_accepts_per_hour: got {self.false_accepts_per_hour}, allowed: a number above 0"
            )
        if not 0 <= self.threshold_floor <= 1:
            raise ConfigError(f"threshold_floor: got {self.threshold_floor}, allowed: 0 to 1")
        self.at(())

    def at(self, thresholds: Sequence[float]) -> DecisionConfig:
        """Return what :func:`decide` takes, with thresholds for the keywords."""
        return DecisionConfig(tuple(thresholds), self.smoothing_frames, self.refractory_s, self.compete_s)


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """How scores become detections: :class:`DecisionSettings` with thresholds that were chosen."""

    thresholds: tuple[float, ...]
    """One per keyword; a frame counts when its smoothed score is at or above it."""
    smoothing_frames: int = 1
    """Length of the causal moving average, in frames; 1 smooths nothing."""
    refractory_s: float = 1.0
    """Shortest time between two detections of the same keyword, in seconds; it swallows echoes."""
    compete_s: float = COMPETE_S
    """Shortest time between detections of two keywords, in seconds: of look-alikes one is heard. 0 lets each
    keyword fire as if it were alone."""
    patience: int = 1
    """Frames in a row whose smoothed scores must be at or above the threshold; 1 is the first of them."""
    refractory_by_keyword: tuple[float, ...] = ()
    """One ``refractory_s`` per keyword, in seconds; empty where all have the same."""

    @property
    def frames_before(self) -> int:
        """Frames before the first of a chunk that its scores are smoothed and confirmed with."""
        return self.smoothing_frames + self.patience - 2

    def refractory_of(self, column: int) -> float:
        """Return the shortest time between two detections of one keyword, in seconds."""
        return self.refractory_by_keyword[column] if self.refractory_by_keyword else self.refractory_s

    def __post_init__(self) -> None:
        if not all(math.isfinite(threshold) for threshold in self.thresholds):
            raise ConfigError(
                f"thresholds: got {self.thresholds}, expected finite numbers, usually within [0, 1]"
            )
        if self.smoothing_frames < 1:
            raise ConfigError(
                f"smoothing_frames: got {self.smoothing_frames}, expected 1 (no smoothing) or more"
            )
        if self.patience < 1:
            raise ConfigError(f"patience: got {self.patience}, expected 1 frame or more")
        times = [("refractory_s", self.refractory_s), ("compete_s", self.compete_s)]
        times += [("refractory_s", value) for value in self.refractory_by_keyword]
        for name, value in times:
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name}: got {value}, expected 0 or more seconds")
        if self.refractory_by_keyword and len(self.refractory_by_keyword) != len(self.thresholds):
            raise ConfigError(
                f"got {len(self.refractory_by_keyword)} refractory times for {len(self.thresholds)} "
                "thresholds; give one per keyword"
            )


@dataclass(frozen=True, slots=True)
class DecisionState:
    """What :func:`decide` must remember between two chunks of one stream; opaque to callers."""

    num_frames: int
    """Frames seen so far."""
    recent_scores: np.ndarray
    """(frames before, keywords) float64, the newest last; see :attr:`DecisionConfig.frames_before`."""
    spent: tuple[bool, ...]
    """Per keyword: it is above its threshold in a rise that fired or was swallowed."""
    waiting: tuple[bool, ...]
    """Per keyword: it is above its threshold in a rise that may fire once no other keyword is ahead of it."""
    ready_frames: tuple[int, ...]
    """Per keyword: first frame, from the start of the stream, at which a rise may begin that fires."""


def smooth(scores: np.ndarray, recent_scores: np.ndarray, patience: int = 1) -> np.ndarray:
    """Return the causal moving average of scores, of ``patience`` frames the least.

    The least of so many frames reaches a threshold when all of them do, so patience is part of the score:
    what chooses thresholds and counts detections needs to know no more of it.

    Args:
        scores: (frames, keywords).
        recent_scores: (smoothing_frames + patience - 2, keywords), the frames before; zeros at the start of a
            stream.
        patience: frames that must confirm each other.
    Returns:
        (frames, keywords) float64. Each value is summed in the same order whatever the chunking, so that a
        stream gives the same bits as the whole file.
    """
    num_frames, smoothing_frames = len(scores), len(recent_scores) + 2 - patience
    if len(recent_scores) == 0:
        return np.asarray(scores, dtype=np.float64)
    padded = np.concatenate([recent_scores, scores])  # (frames before + frames, keywords)
    num_averages = num_frames + patience - 1
    total = padded[:num_averages].copy()
    for offset in range(1, smoothing_frames):
        total += padded[offset : offset + num_averages]
    averages = total / smoothing_frames
    least = averages[:num_frames]
    for offset in range(1, patience):
        least = np.minimum(least, averages[offset : offset + num_frames])
    return least


def decide(
    scores: np.ndarray,
    keywords: Sequence[str],
    config: DecisionConfig,
    hop_s: float,
    state: DecisionState | None = None,
) -> tuple[list[Detection], DecisionState]:
    """Turn frame scores into detections; any chunking of a stream gives the same ones as the whole.

    A rise is a run of frames whose smoothed score is at or above the threshold. It fires in its first frame,
    once: one long burst is one detection. A rise that *begins* within ``refractory_s`` of the last detection
    of its keyword never fires, however long it lasts: it is an echo, or the same call still. So a second call
    is heard if its score rises after that time. One that rises 0.95 s after a detection and is over at 1.05 s
    is swallowed with a refractory time of 1 s, as nothing tells it from an echo: people say it again, and a
    program that must hear faster calls sets a shorter time. With patience the score of a frame is the least
    of the last ``patience`` smoothed ones: a rise begins, and fires, in the last frame that confirms it.

    Several keywords compete. In one frame the keyword that is furthest above its threshold (in logits) fires;
    a detection swallows the rises of all others that are up or begin within ``compete_s``. A rise waits while
    another keyword is ahead of it, and fires when it takes the lead. Nothing is delayed for a keyword alone.

    Args:
        scores: (frames, keywords) in [0, 1]; any number of frames, also none.
        keywords: their names, in the order of the columns.
        config: thresholds (one per keyword), smoothing, patience and refractory time.
        hop_s: time from one frame to the next, in seconds.
        state: what the previous call on this stream returned; None starts a stream.
    Returns:
        detections: by frame, then in the order of ``keywords``.
        state: to be passed on with the next chunk.
    Raises:
        ConfigError: the number of columns, keywords and thresholds differ, or ``state`` is of another
            configuration.
        CheckpointError: a score is not finite.
    """
    if state is not None and _is_quiet(scores, config, state):
        recent, still = state.recent_scores, (False,) * len(state.spent)
        return [], DecisionState(state.num_frames + len(scores), recent, still, still, state.ready_frames)
    scores = _check_scores(scores, keywords, config, hop_s)
    num_keywords, nothing = len(keywords), (False,) * len(keywords)
    if state is None:
        empty = np.zeros((config.frames_before, num_keywords))
        state = DecisionState(0, empty, nothing, nothing, (0,) * num_keywords)
    if state.recent_scores.shape != (config.frames_before, num_keywords):
        raise ConfigError(
            "the decision state belongs to another number of keywords, smoothing frames or patience; "
            "start again with state=None"
        )
    smoothed = smooth(scores, state.recent_scores, config.patience)
    rises = _Rises(list(state.spent), list(state.waiting), [r - state.num_frames for r in state.ready_frames])
    if num_keywords > 1 and config.compete_s > 0:
        fired = _fire_one(smoothed, rises, config, hop_s)
    else:
        fired = [
            (index, column)
            for column, threshold in enumerate(config.thresholds)
            for index in _fire(
                smoothed[:, column] >= threshold, rises, column, _frames(config.refractory_of(column), hop_s)
            )
        ]
        fired.sort()
    detections = [
        Detection(
            keywords[column],
            float(smoothed[index, column]),
            (state.num_frames + index + 1) * hop_s,
            state.num_frames + index,
        )
        for index, column in fired
    ]
    joined = np.concatenate([state.recent_scores, scores])
    recent_scores = joined[len(joined) - config.frames_before :]
    ready_frames = tuple(ready + state.num_frames for ready in rises.ready)
    num_frames = state.num_frames + len(scores)
    new_state = DecisionState(
        num_frames, recent_scores, tuple(rises.spent), tuple(rises.waiting), ready_frames
    )
    return detections, new_state


def _is_quiet(scores: np.ndarray, config: DecisionConfig, state: DecisionState) -> bool:
    """Return whether a push as a device makes it holds sound scores and none of them at a threshold.

    Nearly every push of a device does; what else :func:`decide` does would be a tenth of its whole cost.
    """
    if config.frames_before or not 0 < scores.size <= QUIET_SCORES:
        return False
    if scores.ndim != 2 or not scores.shape[1] == len(config.thresholds) == len(state.spent):
        return False
    lowest = min(config.thresholds)
    return all(0 <= score < lowest for score in scores.ravel().tolist())  # of NaN, neither holds


class _Rises(NamedTuple):
    """Of each keyword what :class:`DecisionState` says, changed as frames go by.

    Attributes:
        spent, waiting: as there.
        ready: first frame, counted from this chunk, at which a rise may begin that fires.
    """

    spent: list[bool]
    waiting: list[bool]
    ready: list[int]


def _frames(seconds: float, hop_s: float) -> int:
    """Return how many frames fill a time: 1 s at 40 ms is 25 frames, not 26 by rounding."""
    return math.ceil(seconds / hop_s - 1e-9)


def _fire(above: np.ndarray, rises: _Rises, column: int, refractory_frames: int) -> list[int]:
    """Find the frames of one chunk at which one keyword alone fires, rise by rise.

    Args:
        above: (frames,) bool, smoothed score at or above the threshold.
        rises: those of ``column`` are brought to the end of the chunk.
        column: the keyword.
        refractory_frames: refractory time in frames.
    """
    if not above.size:
        return []
    was_up, rises.spent[column] = rises.spent[column], bool(above[-1])
    starts = np.flatnonzero(above & ~np.concatenate([[was_up], above[:-1]]))
    fired: list[int] = []
    while (rise := int(np.searchsorted(starts, rises.ready[column]))) < len(starts):
        fired.append(int(starts[rise]))
        rises.ready[column] = fired[-1] + max(refractory_frames, 1)
    return fired


def _fire_one(
    smoothed: np.ndarray, rises: _Rises, config: DecisionConfig, hop_s: float
) -> list[tuple[int, int]]:
    """Find the frames and columns of one chunk that fire where keywords compete, frame by frame.

    Args:
        smoothed: (frames, keywords).
        rises: brought to the end of the chunk.
        config: thresholds and times.
        hop_s: time from one frame to the next, in seconds.
    """
    above = smoothed >= np.array(config.thresholds)
    refractory = [_frames(config.refractory_of(column), hop_s) for column in range(len(rises.ready))]
    compete = _frames(config.compete_s, hop_s)
    fired: list[tuple[int, int]] = []
    before = -1  # the last frame with a keyword at its threshold; -1 continues the last chunk
    for frame in np.flatnonzero(above.any(axis=1)).tolist():
        for column, is_above in enumerate(above[frame]):
            goes_on = frame == before + 1 and is_above
            begins = is_above and not (goes_on and (rises.spent[column] or rises.waiting[column]))
            rises.waiting[column] = bool(
                frame >= rises.ready[column] if begins else goes_on and rises.waiting[column]
            )
            rises.spent[column] = bool(is_above and not rises.waiting[column])
        before = frame
        margins = _logit(smoothed[frame]) - _logit(np.array(config.thresholds))
        leader = int(np.where(above[frame], margins, -np.inf).argmax())
        if rises.waiting[leader]:
            fired.append((frame, leader))
            for column in range(len(rises.ready)):
                rises.spent[column] |= rises.waiting[column]
                rises.waiting[column] = False
                apart = refractory[leader] if column == leader else compete
                rises.ready[column] = max(rises.ready[column], frame + apart)
    if before < len(smoothed) - 1:
        rises.spent[:] = rises.waiting[:] = [False] * len(rises.ready)
    return fired


def _logit(scores: np.ndarray) -> np.ndarray:
    """Return scores on the scale on which they spread evenly, finite for 0 and 1."""
    inside = np.clip(scores, SURE, 1 - SURE)
    spread: np.ndarray = np.log(inside) - np.log1p(-inside)
    return spread


def _check_scores(
    scores: np.ndarray, keywords: Sequence[str], config: DecisionConfig, hop_s: float
) -> np.ndarray:
    """Return the scores as an array, or raise with what does not fit."""
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] != len(keywords):
        raise ConfigError(
            f"scores have shape {scores.shape}, expected (frames, {len(keywords)}) for {list(keywords)}"
        )
    if len(config.thresholds) != len(keywords):
        raise ConfigError(
            f"got {len(config.thresholds)} thresholds for {len(keywords)} keywords; give one per keyword"
        )
    if not hop_s > 0:
        raise ConfigError(f"hop_s: got {hop_s}, expected the time between frames in seconds, such as 0.04")
    if not np.isfinite(scores).all():
        raise CheckpointError("scores hold NaN or infinite values; the model is damaged, export it again")
    return scores
