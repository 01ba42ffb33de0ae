"""Reading the dev recordings: a part of them after each epoch, all of them, and more, for the threshold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.data import Augment
from kws.evaluation.thresholds import DevScores
from kws.model import WakeWordModel
from kws.training.config import TrainConfig
from kws.training.copies import augmented_copies, num_copies
from kws.training.data import TrainingData
from kws.training.scan import score_clips, score_rows, score_stream

COPIES_SEED = 7_002
"""Added to the seed: other noise and rooms than in training."""


def read_dev(model: WakeWordModel, data: TrainingData, max_hours: float | None = None) -> DevScores:
    """Score the dev recordings and up to ``max_hours`` of the dev negatives."""
    return DevScores(
        positives=score_clips(model, data.dev_positives),
        labels=tuple(data.dev_labels),
        negatives=score_stream(model, data.dev_negatives, max_hours),
        hours=min(data.dev_negatives.hours, max_hours or math.inf),
    )


def read_dev_copies(
    model: WakeWordModel, data: TrainingData, augment: Augment, config: TrainConfig
) -> DevScores:
    """Score all dev recordings, and the dev negatives in noise and rooms, too.

    Recordings as they are say little about noise and rooms, and an hour of them little about a rate of one in
    two hours: thresholds chosen on them alone gave two to sixty times the wished false accepts (docs/log).

    Args:
        model: in eval mode.
        data: what it was trained on.
        augment: that of training.
        config: its seed, and how many copies.
    """
    scores = read_dev(model, data)
    copies = dev_copies(scores.hours, config)
    if not copies:
        return scores
    rows = augmented_copies(
        data.dev_negatives, augment, config.seed + COPIES_SEED, copies, config.num_workers
    )
    found = [scores.negatives, *(score_rows(model, row) for _, row in rows)]
    hours = sum(map(len, found)) * model.hop_samples / SAMPLE_RATE / 3600
    return replace(scores, negatives=np.concatenate(found), hours=hours)


def dev_copies(hours: float, config: TrainConfig) -> float:
    """Return how many augmented copies of so many hours of dev negatives are read for the threshold."""
    if not config.augmentation:
        return 0
    return num_copies(hours, config.decision.false_accepts_per_hour, config.dev_copies)
