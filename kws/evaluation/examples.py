"""Picks the stretches of audio to look at: hits, misses, and where the negatives score highest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from kws.audio import SAMPLE_RATE, samples_to_seconds
from kws.decisions import DecisionConfig, smooth
from kws.evaluation.metrics import hits, pack
from kws.evaluation.result import Example, HardNegative
from kws.evaluation.scoring import ScoredClip

NUM_EXAMPLES = 4
"""Of each kind: hits, misses, negatives."""

NUM_HARD = 50
"""Hardest negatives that are listed."""

BEFORE_S, AFTER_S = 2.5, 0.8
"""What is shown around the end of the phrase, or around a false accept."""


def from_positives(
    clips: Sequence[ScoredClip],
    column: int,
    config: DecisionConfig,
    hop_s: float,
    threshold: float,
    first_frames: np.ndarray,
) -> list[Example]:
    """Pick hits and misses, from the lowest to the highest score of each.

    Args:
        clips: each scored from a cold start, with what is heard around it.
        column: of the keyword.
        config: smoothing and refractory time.
        hop_s: time between two frames, in seconds.
        threshold: what divides hits from misses.
        first_frames: (clips,) frame before which a detection is no hit.
    """
    track = pack([clip.scores[:, column] for clip in clips], config, hop_s)
    events = hits(track.fire(threshold), first_frames)
    fired = {
        int(owner): int(frame) for owner, frame in zip(events.owners[::-1], events.frames[::-1], strict=True)
    }
    smoothed = [_smoothed(clip.scores[:, column], config) for clip in clips]
    peaks = np.array([clip.max(initial=0.0) for clip in smoothed])
    chosen: list[Example] = []
    kinds: tuple[tuple[Literal["hit", "miss"], list[int]], ...] = (
        ("hit", sorted(fired)),
        ("miss", [index for index in range(len(clips)) if index not in fired]),
    )
    for kind, members in kinds:
        ordered = sorted(members, key=lambda index: (peaks[index], index))
        places = {round(place) for place in np.linspace(0, len(ordered) - 1, NUM_EXAMPLES) if ordered}
        for index in (ordered[place] for place in sorted(places)):
            clip = clips[index]
            fired_s = (fired[index] + 1) * hop_s - clip.lead_s if index in fired else None
            middle_s = clip.speech_end_s if fired_s is None else max(fired_s, clip.speech_end_s)
            times_s = (np.arange(len(smoothed[index])) + 1) * hop_s - clip.lead_s
            end_s = float(times_s[-1])
            chosen.append(
                _cut(
                    kind,
                    clip,
                    smoothed[index],
                    times_s,
                    middle_s,
                    end_s,
                    peaks[index],
                    fired_s,
                    clip.speech_end_s,
                )
            )
    return chosen


def hardest(
    stream: Sequence[ScoredClip], column: int, config: DecisionConfig, hop_samples: int, threshold: float
) -> tuple[list[HardNegative], list[Example]]:
    """Find the highest peaks of the negatives, at least a second apart.

    Args:
        stream: scored as one stream.
        column: of the keyword.
        config: smoothing and refractory time.
        hop_samples: samples between two frames.
        threshold: a peak at or above it is a false accept.
    Returns:
        Up to ``NUM_HARD`` places, and the first ``NUM_EXAMPLES`` of them to show.
    """
    scores = np.concatenate([clip.scores[:, column] for clip in stream])
    smoothed = _smoothed(scores, config)
    firing = pack([scores], config, samples_to_seconds(hop_samples), threshold).fire(threshold).frames
    starts = np.array([clip.start_sample for clip in stream])
    apart = math.ceil(max(config.refractory_s, 1.0) * SAMPLE_RATE / hop_samples)
    left = smoothed.copy()
    hard: list[HardNegative] = []
    shown: list[Example] = []
    for _ in range(min(NUM_HARD, smoothed.size)):
        frame = int(left.argmax())
        peak = float(left[frame])
        if peak < 0:
            break
        left[max(0, frame - apart) : frame + apart + 1] = -1.0
        end_sample = (frame + 1) * hop_samples
        clip = stream[int(np.searchsorted(starts, end_sample, side="left")) - 1]  # starts < end_sample
        time_s = samples_to_seconds(end_sample - clip.start_sample)
        entry = clip.utterance
        hard.append(
            HardNegative(str(entry.path), round(entry.offset_s + time_s, 3), peak, entry.text, entry.label)
        )
        if len(shown) < NUM_EXAMPLES:
            kind: Literal["false accept", "closest"] = "false accept" if peak >= threshold else "closest"
            frames = np.arange(max(0, frame - 4 * apart), min(smoothed.size, frame + 4 * apart))
            times_s = samples_to_seconds(1) * ((frames + 1) * hop_samples - clip.start_sample)
            length_s = samples_to_seconds(clip.num_samples)
            fired_s = None
            if kind == "false accept":  # it fired at the start of the burst or of the one that hid it
                first = int(firing[np.searchsorted(firing, frame, side="right") - 1])
                fired_s = samples_to_seconds((first + 1) * hop_samples - clip.start_sample)
            shown.append(_cut(kind, clip, smoothed[frames], times_s, time_s, length_s, peak, fired_s, None))
    return hard, shown


def _smoothed(scores: np.ndarray, config: DecisionConfig) -> np.ndarray:
    return smooth(scores[:, None], np.zeros((config.frames_before, 1)), config.patience)[:, 0]


def _cut(
    kind: Literal["hit", "miss", "false accept", "closest"],
    clip: ScoredClip,
    scores: np.ndarray,
    times_s: np.ndarray,
    middle_s: float,
    end_s: float,
    peak: float,
    fired_s: float | None,
    speech_end_s: float | None,
) -> Example:
    """Cut the stretch around a moment; times are from the start of the recording, and then of the stretch."""
    start_s = max(0.0, middle_s - BEFORE_S)
    stop_s = min(end_s, middle_s + AFTER_S)
    inside = (times_s > start_s) & (times_s <= stop_s + 1e-9)
    return Example(
        kind=kind,
        utterance=clip.utterance,
        start_s=start_s,
        length_s=stop_s - start_s,
        times_s=times_s[inside] - start_s,
        scores=scores[inside],
        peak=float(peak),
        fired_s=None if fired_s is None or fired_s < start_s else fired_s - start_s,
        speech_end_s=None if speech_end_s is None else speech_end_s - start_s,
    )
