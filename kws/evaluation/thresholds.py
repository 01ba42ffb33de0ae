"""Choosing the operating point on dev scores: training calls it after each epoch and at the end.

Where few hours cannot show a rate, a floor holds and is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from kws.audio import SAMPLE_RATE
from kws.checkpoint import OperatingPoint
from kws.decisions import THRESHOLD_FLOOR, DecisionConfig, DecisionSettings, decide
from kws.evaluation.intervals import ZERO_EVENTS, number
from kws.evaluation.metrics import choose_threshold, just_above, logit, negative_peaks, pack

LOSS_BLOCK_FRAMES = 50
LOSS_BLOCKS = 20
"""The dev loss reads the negatives' worst 20 blocks of 50 frames: those that could become false accepts."""
SMALLEST = 1e-6
MOST_MISSED = 0.5
"""A threshold at which a larger share of the dev recordings is missed is warned of."""
UNUSABLE = 0.9
"""A keyword of which a larger share of the dev recordings is missed is of no use."""
HIGHEST_BEYOND = 0.99
"""The tail is followed no higher: a run on five minutes of speech, whose peaks were below 0.16, fired in no
hour of other speech from 0.98 on, and at 0.99996, where the tail led to, it missed half as many again."""
TAIL_PEAKS = 10
"""Highest peaks of the negatives that the tail is read off, beyond what was heard."""
FARTHEST = 16.0
"""Logit that scores of 0 and 1 count as."""
COUNTED_AT, MOST_COUNTED_PER_HOUR = 60, 60.0
"""False accepts are counted at so many thresholds, down to that of about so many per hour."""
MISSED_CURE = "train longer, give more recordings, or look for something like it among the negatives"
WARNING = "WARNING: "
"""What a doubt begins with that a person must not pass by."""


@dataclass(frozen=True, slots=True)
class DevScores:
    """Scores of one model on the dev recordings.

    Attributes:
        positives: (frames, keyword) per clip.
        labels: keyword index per clip.
        negatives: (frames, keyword), joined.
        hours: of the negatives.
    """

    positives: list[np.ndarray]
    labels: tuple[int, ...]
    negatives: np.ndarray
    hours: float

    def loss(self) -> float:
        """Cross-entropy of the clips' best frames and the negatives' worst blocks; smooth, unlike misses."""
        best = [clip[:, label].max() for clip, label in zip(self.positives, self.labels, strict=True)]
        frames = len(self.negatives) // LOSS_BLOCK_FRAMES * LOSS_BLOCK_FRAMES
        blocks = self.negatives[:frames].reshape(-1, LOSS_BLOCK_FRAMES * self.negatives.shape[1]).max(axis=1)
        worst = np.sort(blocks)[-LOSS_BLOCKS:] if len(blocks) else np.zeros(1)
        hits = -np.log(np.maximum(best, SMALLEST)).mean() if best else 0.0
        return float(hits - np.log(np.maximum(1 - worst, SMALLEST)).mean())


def choose_operating_point(
    scores: DevScores,
    keywords: Sequence[str],
    *,
    hop_samples: int,
    settings: DecisionSettings,
    given_hours: float | None = None,
    proven_per_hour: float = math.inf,
) -> tuple[OperatingPoint, dict[str, float], list[str]]:
    """Choose a threshold per keyword on the dev negatives and count the misses there.

    Where the hours are too few to show the wished rate, thresholds are at least :func:`lowest_unshown`.

    Args:
        scores: of the dev recordings.
        keywords: names of the outputs.
        hop_samples: samples between two frames.
        settings: the rate per keyword, smoothing and times. Its ``threshold_floor`` holds for thresholds that
            the hours cannot show; 0 for scores that nothing was trained to, as those of phones, which say how
            well a phrase is heard and not how likely it was said.
        given_hours: of the speech that a person gave, of which ``scores.hours`` were made; None is the same.
        proven_per_hour: rate down to which thresholds on this speech were measured to keep elsewhere, and
            nothing is raised; 0 where thresholds are there to compare models by.
    Returns:
        The operating point, the miss rate per keyword (nan without clips of it), and what is doubtful about
        it, ready to be printed.
    """
    config, hop_s = settings.at([1.0]), hop_samples / SAMPLE_RATE
    rate, hours = settings.false_accepts_per_hour, scores.hours
    can_show = rate >= proven_per_hour or hours * rate >= ZERO_EVENTS
    counted, floored, doubts = {}, {}, []
    for index, keyword in enumerate(keywords):
        heard = scores.negatives[:, index]
        choice = choose_threshold([heard], hours, rate, config, hop_s)
        counted[keyword] = float(choice.threshold)
        if choice.false_accepts.per_hour > rate:
            doubts.append(f"{WARNING}{keyword}: {choice.reason}")
        elif not can_show:
            peaks = negative_peaks([heard], config, hop_s)
            lowest = lowest_unshown(peaks, hours * rate, settings.threshold_floor)
            if lowest > counted[keyword]:
                floored[keyword] = lowest
    thresholds = {**counted, **floored}
    if not can_show:
        doubts.insert(0, _unshown(hours, rate, counted, floored, given_hours))
    misses = _misses(scores, thresholds, config, hop_s)
    doubts += [
        f"{WARNING}{keyword}: {100 * share:.0f} % of the dev recordings are missed at its threshold; "
        f"{'it is of no use: ' if share > UNUSABLE else ''}{MISSED_CURE}"
        for keyword, share in misses.items()
        if share > MOST_MISSED
    ]
    point = OperatingPoint(thresholds, settings, hours, tuple(floored))
    return point, misses, doubts


def lowest_unshown(peaks: np.ndarray, expected: float, floor: float = THRESHOLD_FLOOR) -> float:
    """Return the lowest threshold where hours of negatives are too few to show a rate.

    Where less than one false accept may be expected in them, it lies above all that was heard in them, as far
    as the tail of the highest peaks leads to: their logits lie above any place as an exponential
    distribution.

    Args:
        peaks: of the negatives, the highest first.
        expected: false accepts at the wished rate in so many hours.
        floor: nothing lower is returned.
    Source: peaks over a threshold, Davison and Smith, J. R. Stat. Soc. B 52, 1990.
    """
    if expected >= 1 or len(peaks) < 2:
        return floor
    tail = np.clip(logit(peaks[:TAIL_PEAKS]), -FARTHEST, FARTHEST)
    spread = (tail - tail[-1]).sum() / (len(tail) - 1)
    beyond = tail[-1] + spread * math.log(len(tail) / expected)
    return float(max(floor, just_above(float(peaks[0])), min(HIGHEST_BEYOND, expit(beyond))))


def false_accept_counts(
    scores: DevScores, keywords: Sequence[str], *, hop_samples: int, settings: DecisionSettings
) -> dict[str, list[tuple[float, int]]]:
    """Return how often each keyword fires on the dev negatives at thresholds of a whole range.

    Args:
        scores: of the dev recordings.
        keywords: names of the outputs.
        hop_samples: samples between two frames.
        settings: smoothing and times.
    Returns:
        For each keyword up to ``COUNTED_AT`` thresholds, ascending, with the false accepts at each. The last
        one is above all that was heard.
    """
    config, hop_s = settings.at([1.0]), hop_samples / SAMPLE_RATE
    counts = {}
    for index, keyword in enumerate(keywords):
        heard = scores.negatives[:, index]
        peaks = negative_peaks([heard], config, hop_s)
        highest = peaks[: max(1, math.ceil(MOST_COUNTED_PER_HOUR * scores.hours))]
        ranks = np.geomspace(1, max(1, len(highest)), COUNTED_AT).astype(int) - 1
        thresholds = sorted({just_above(float(peak)) for peak in highest[ranks]} if len(highest) else ())
        track = pack([heard], config, hop_s, thresholds[0] if thresholds else 0.0)
        counts[keyword] = [(threshold, len(track.fire(threshold).frames)) for threshold in thresholds]
    return counts


def unusable(misses: Mapping[str, float]) -> list[str]:
    """Return the keywords of which nearly all dev recordings are missed.

    Args:
        misses: by keyword, nan where nothing is known.
    """
    return [keyword for keyword, share in misses.items() if share > UNUSABLE]


def _misses(
    scores: DevScores, thresholds: Mapping[str, float], config: DecisionConfig, hop_s: float
) -> dict[str, float]:
    """Return the share of the clips of each keyword in which it does not fire; nan without clips."""
    found = {}
    for index, (keyword, threshold) in enumerate(thresholds.items()):
        decision = replace(config, thresholds=(threshold,))
        clips = [clip for clip, label in zip(scores.positives, scores.labels, strict=True) if label == index]
        hits = [bool(decide(clip[:, index : index + 1], [keyword], decision, hop_s)[0]) for clip in clips]
        found[keyword] = 1 - float(np.mean(hits)) if hits else float("nan")
    return found


def _unshown(
    hours: float,
    rate: float,
    counted: Mapping[str, float],
    floored: Mapping[str, float],
    given_hours: float | None,
) -> str:
    """Say what the hours show, what was done, and how many would show the wished rate."""
    enough = ZERO_EVENTS / rate * (given_hours or hours) / hours
    raised = ", ".join(f"{name} from {counted[name]:.3f} to {score:.3f}" for name, score in floored.items())
    return (
        f"{WARNING if floored else ''}{number(hours)} h of speech without the keyword show no rate below "
        f"{number(ZERO_EVENTS / hours)} false accepts/h, and {number(rate)} is wished"
        f"{f': the threshold is raised, {raised}' if floored else ''}; "
        f"give {number(enough)} h of `negatives` to be sure"
    )
