"""Frame scores to detections: smoothing, threshold and refractory time, the single implementation.

Called by :class:`kws.detector.Detector` on every push of audio and by the evaluation on hours of frames at
many thresholds. Needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.errors import CheckpointError, ConfigError


@dataclass(frozen=True, slots=True)
class Detection:
    """One event: a keyword was heard."""

    keyword: str
    """Which keyword."""
    score: float
    """Smoothed score of the frame that fired."""
    time_s: float
    """End of the frame that fired, in seconds from the start of the stream."""
    frame: int
    """Index of the frame that fired, from the start of the stream."""


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """How scores become detections."""

    thresholds: tuple[float, ...]
    """One per keyword; a frame counts when its smoothed score is at or above it."""
    smoothing_frames: int = 1
    """Length of the causal moving average, in frames; 1 smooths nothing."""
    refractory_s: float = 1.0
    """Shortest time between two detections of the same keyword, in seconds."""

    def __post_init__(self) -> None:
        if not all(math.isfinite(threshold) for threshold in self.thresholds):
            raise ConfigError(
                f"thresholds: got {self.thresholds}, expected finite numbers, usually within [0, 1]"
            )
        if self.smoothing_frames < 1:
            raise ConfigError(
                f"smoothing_frames: got {self.smoothing_frames}, expected 1 (no smoothing) or more"
            )
        if not (math.isfinite(self.refractory_s) and self.refractory_s >= 0):
            raise ConfigError(f"refractory_s: got {self.refractory_s}, expected 0 or more seconds")


@dataclass(frozen=True, slots=True)
class DecisionState:
    """What :func:`decide` must remember between two chunks of one stream; opaque to callers."""

    num_frames: int
    """Frames seen so far."""
    recent_scores: np.ndarray
    """(smoothing_frames - 1, keywords) float64, the newest last."""
    held: tuple[bool, ...]
    """Per keyword: it fired and has not been below its threshold since."""
    ready_frames: tuple[int, ...]
    """Per keyword: first frame, from the start of the stream, at which it may fire again."""


def smooth(scores: np.ndarray, recent_scores: np.ndarray) -> np.ndarray:
    """Return the causal moving average of scores.

    Args:
        scores: (frames, keywords).
        recent_scores: (smoothing_frames - 1, keywords), the frames before; zeros at the start of a stream.
    Returns:
        (frames, keywords) float64. Each value is summed in the same order whatever the chunking, so that a
        stream gives the same bits as the whole file.
    """
    num_frames, smoothing_frames = len(scores), len(recent_scores) + 1
    if smoothing_frames == 1:
        return np.asarray(scores, dtype=np.float64)
    padded = np.concatenate([recent_scores, scores])  # (smoothing_frames - 1 + frames, keywords)
    total = padded[:num_frames].copy()
    for offset in range(1, smoothing_frames):
        total += padded[offset : offset + num_frames]
    return total / smoothing_frames


def decide(
    scores: np.ndarray,
    keywords: Sequence[str],
    config: DecisionConfig,
    hop_s: float,
    state: DecisionState | None = None,
) -> tuple[list[Detection], DecisionState]:
    """Turn frame scores into detections; any chunking of a stream gives the same ones as the whole.

    A keyword fires at the first frame whose smoothed score reaches its threshold while it is armed. It is
    armed again once the smoothed score has been below the threshold at some later frame *and*
    ``refractory_s`` has passed since it fired; so one long burst is one detection.

    Args:
        scores: (frames, keywords) in [0, 1]; any number of frames, also none.
        keywords: their names, in the order of the columns.
        config: thresholds (one per keyword), smoothing and refractory time.
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
    scores = _check_scores(scores, keywords, config, hop_s)
    if state is None:
        num_keywords = len(keywords)
        empty = np.zeros((config.smoothing_frames - 1, num_keywords))
        state = DecisionState(0, empty, (False,) * num_keywords, (0,) * num_keywords)
    if state.recent_scores.shape != (config.smoothing_frames - 1, len(keywords)):
        raise ConfigError(
            "the decision state belongs to another number of keywords or smoothing frames; "
            "start again with state=None"
        )
    refractory_frames = math.ceil(
        config.refractory_s / hop_s - 1e-9
    )  # 1 s at 40 ms is 25 frames, not 26 by rounding
    smoothed = smooth(scores, state.recent_scores)
    detections: list[Detection] = []
    held, ready_frames = list(state.held), list(state.ready_frames)
    for column, keyword in enumerate(keywords):
        above = smoothed[:, column] >= config.thresholds[column]
        ready = ready_frames[column] - state.num_frames
        fired, held[column], ready = _fire(above, held[column], ready, refractory_frames)
        ready_frames[column] = ready + state.num_frames
        for index in fired:
            frame = state.num_frames + index
            detections.append(Detection(keyword, float(smoothed[index, column]), (frame + 1) * hop_s, frame))
    detections.sort(key=lambda detection: detection.frame)
    joined = np.concatenate([state.recent_scores, scores])
    recent_scores = joined[len(joined) - (config.smoothing_frames - 1) :]
    new_state = DecisionState(state.num_frames + len(scores), recent_scores, tuple(held), tuple(ready_frames))
    return detections, new_state


def _fire(above: np.ndarray, held: bool, ready: int, refractory_frames: int) -> tuple[list[int], bool, int]:
    """Find the frames of one chunk at which one keyword fires, run by run.

    Args:
        above: (frames,) bool, smoothed score at or above the threshold.
        held: the keyword fired and has not been below the threshold since.
        ready: first frame, counted from this chunk, at which the refractory time is over.
        refractory_frames: refractory time in frames.
    Returns:
        The frames that fire, then ``held`` and ``ready`` after the chunk (``ready`` still counted from this
        chunk).
    """
    if above.size and not above.any():  # nearly every push of a device: spares a tenth of its whole cost
        return [], False, ready
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False))  # a run of True is [start, end)
    starts, ends = edges[0::2], edges[1::2]
    first = int(held and bool(starts.size) and starts[0] == 0)  # the run that fired earlier goes on: skip it
    still_held = held and (above.size == 0 or (first == 1 and ends[0] == above.size))
    fired: list[int] = []
    run = first
    while True:
        # Runs that end before the refractory time is over cannot fire: jump over all of them at once.
        run = max(run, int(np.searchsorted(ends, ready, side="right")))
        if run >= len(starts):
            return fired, still_held, ready
        frame = max(int(starts[run]), ready)
        fired.append(frame)
        ready = frame + refractory_frames
        still_held = bool(ends[run] == above.size)
        run += 1


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
