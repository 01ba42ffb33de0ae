"""Reading the dev recordings: a part of them after each round, all of them, and more, for the threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from kws.audio import SAMPLE_RATE, seconds_to_samples, to_int16
from kws.audio_store import AudioStore
from kws.data import Augment
from kws.evaluation.metrics import ZERO_EVENTS
from kws.evaluation.thresholds import DevScores
from kws.model import WakeWordModel
from kws.training.config import TrainConfig
from kws.training.data import TrainingData
from kws.training.scan import ROW_S, score_clips, score_rows, score_stream

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
    """Score all dev recordings, and the dev negatives in noise and rooms where they are few.

    Recordings as they are say little about noise and rooms, and an hour of them little about a rate of one in
    two hours: thresholds chosen on them alone gave two to sixty times the wished false accepts (RESULTS.md).

    Args:
        model: in eval mode.
        data: what it was trained on.
        augment: that of training.
        config: its seed, the wished rate and the most copies; as many are read as show that rate.
    """
    scores = read_dev(model, data)
    copies = num_copies(scores.hours, config)
    if not copies:
        return scores
    rows: DataLoader[np.ndarray] = DataLoader(
        _AugmentedRows(data.dev_negatives, augment, config.seed + COPIES_SEED, copies),
        batch_size=None,
        num_workers=config.num_workers,
    )
    named: Iterable[np.ndarray] = tqdm(rows, "dev negatives in noise and rooms", unit="row")
    found = [scores.negatives, *(score_rows(model, row) for row in named)]
    hours = sum(map(len, found)) * model.hop_samples / SAMPLE_RATE / 3600
    return replace(scores, negatives=np.concatenate(found), hours=hours)


def num_copies(hours: float, config: TrainConfig) -> int:
    """Return how many augmented copies of so many hours of dev negatives are read for the threshold."""
    if not hours or not config.augmentation:
        return 0
    wanted = math.ceil(ZERO_EVENTS / config.false_accepts_per_hour / hours) - 1
    return min(config.dev_copies, max(0, wanted))


class _AugmentedRows(Dataset[np.ndarray]):
    """Rows of a store's joined audio, (samples,) int16, each augmented once for every copy."""

    def __init__(self, store: AudioStore, augment: Augment, seed: int, copies: int) -> None:
        self.samples, self.augment, self.seed, self.copies = store.samples, augment, seed, copies
        self.row = seconds_to_samples(ROW_S)
        self.num_rows = math.ceil(len(self.samples) / self.row)

    def __len__(self) -> int:
        return self.copies * self.num_rows

    def __getitem__(self, index: int) -> np.ndarray:
        copy, number = divmod(index, self.num_rows)
        row = np.asarray(self.samples[number * self.row : (number + 1) * self.row])
        return to_int16(self.augment(row, str(number), self.seed, copy))
