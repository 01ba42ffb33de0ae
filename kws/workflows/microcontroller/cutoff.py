"""The cutoff of a microcontroller model, chosen as every threshold on speech that was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kws.audio import to_float32
from kws.checkpoint import OperatingPoint
from kws.decisions import DecisionSettings
from kws.evaluation.thresholds import DevScores, choose_operating_point
from kws.student.features import micro_features
from kws.student.network import WINDOW
from kws.student.quantized import PROBABILITY_STEPS, QuantizedStudent
from kws.student.rows import STRIDE_SAMPLES, Rows
from kws.student.training import SAID_FROM
from kws.training.copies import augmented_copies, num_copies
from kws.workflows.microcontroller.audio import StudentAudio

MOST_COPIES = 3
"""Copies of the dev speech in noise and rooms, at most."""

DEV_ROWS = 300
"""Rows with the phrase whose misses are told."""


@dataclass(frozen=True)
class DevFeatures:
    """Speech without the keyword that a cutoff is chosen on.

    Attributes:
        clean: (time, channels) int8 of the recordings as they are, one stream.
        noisy: the same of each row of the copies in noise and rooms.
        hours: of both.
        copies: how many.
    """

    clean: np.ndarray
    noisy: tuple[np.ndarray, ...]
    hours: float
    copies: float


def dev_features(audio: StudentAudio, false_accepts_per_hour: float, num_workers: int) -> DevFeatures:
    """Return the features of the dev speech, as it is and in noise and rooms."""
    store = audio.dev
    copies = num_copies(store.hours, false_accepts_per_hour, MOST_COPIES)
    rows = augmented_copies(store, audio.chain.augment, audio.seed, copies, num_workers) if copies else ()
    noisy = tuple(micro_features(to_float32(row)) for _, row in rows)
    return DevFeatures(micro_features(to_float32(store.samples)), noisy, store.hours * (1 + copies), copies)


def decision_of(settings: DecisionSettings, false_accepts_per_hour: float | None) -> DecisionSettings:
    """Return how the firmware decides, for the rate of false accepts of the run, or the one given."""
    wished = {} if false_accepts_per_hour is None else {"false_accepts_per_hour": false_accepts_per_hour}
    return replace(settings, smoothing_frames=WINDOW, **wished)


def choose_cutoff(
    student: QuantizedStudent,
    dev: DevFeatures,
    kinds: Mapping[str, Rows],
    keyword: str,
    settings: DecisionSettings,
) -> tuple[OperatingPoint, list[str]]:
    """Return the threshold of a student, and what is doubtful about it.

    Args:
        student: its int8 form.
        dev: speech without the keyword.
        kinds: rows that it was trained on; some of those with the phrase are told of.
        keyword: the phrase.
        settings: of :func:`decision_of`.
    """
    rows = kinds.get("real", kinds["said"])
    spoken = np.flatnonzero(rows.targets.max(1) > SAID_FROM)
    chosen = spoken[np.linspace(0, len(spoken) - 1, min(DEV_ROWS, len(spoken))).astype(int)]

    def scores(features: np.ndarray) -> np.ndarray:
        return student.probabilities(features)[:, None].astype(np.float64) / PROBABILITY_STEPS

    heard = DevScores(
        positives=[scores(rows.features[index]) for index in chosen],
        labels=(0,) * len(chosen),
        negatives=np.concatenate([scores(features) for features in (dev.clean, *dev.noisy)]),
        hours=dev.hours,
    )
    given_hours = dev.hours / (1 + dev.copies)
    point, _, doubts = choose_operating_point(
        heard, [keyword], hop_samples=STRIDE_SAMPLES, settings=settings, given_hours=given_hours
    )
    return point, doubts
