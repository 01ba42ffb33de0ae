"""Augmented copies of speech without the keyword: what noise and rooms do to a rate of false accepts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from kws.audio import seconds_to_samples, to_int16
from kws.audio_store import AudioStore
from kws.data import Augment
from kws.evaluation.intervals import ZERO_EVENTS
from kws.training.scan import ROW_S


def num_copies(hours: float, false_accepts_per_hour: float, most: int) -> float:
    """Return how many augmented copies of so many hours are read for a threshold.

    With the recordings as they are, they show the rate; where those show it alone, as many hours of copies
    as would show it are read beside them, a part of one: recordings as they are say nothing of noise.

    Args:
        hours: of speech without the keyword.
        false_accepts_per_hour: the wished rate.
        most: copies at most; 0 reads none.
    """
    if not hours:
        return 0
    shown = ZERO_EVENTS / false_accepts_per_hour / hours
    return min(most, shown if shown < 1 else max(1, math.ceil(shown) - 1))


def hours_text(hours: float, copies: float) -> str:
    """Say how much audio a threshold was chosen on, as a person reads it.

    Args:
        hours: of all that was read.
        copies: of the recordings, as :func:`num_copies` gives them.
    """
    own = f" ({hours / (1 + copies):.2f} h as it is, the rest in noise and rooms)" if copies else ""
    return f"{hours:.2f} h{own}"


def augmented_copies(
    store: AudioStore, augment: Augment, seed: int, copies: float, num_workers: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield rows of ``ROW_S`` of a store's joined audio, augmented anew in each copy.

    Args:
        store: recordings without the keyword.
        augment: what makes noise and rooms.
        seed: of its draws.
        copies: how many; of a part of one the rows are from all over the store.
        num_workers: processes that augment; none does it here.
    Yields:
        The number of a row in the store, and (samples,) int16.
    """
    made = _AugmentedRows(store, augment, seed, copies)
    rows: DataLoader[tuple[int, np.ndarray]] = DataLoader(made, batch_size=None, num_workers=num_workers)
    named: Iterable[tuple[int, np.ndarray]] = tqdm(
        rows, "other speech in noise and rooms", made.total, unit="row", disable=None
    )
    yield from ((number, np.asarray(row)) for number, row in named)


class _AugmentedRows(Dataset[tuple[int, np.ndarray]]):
    """The rows of all copies and their places, one copy after the other."""

    def __init__(self, store: AudioStore, augment: Augment, seed: int, copies: float) -> None:
        self.samples, self.augment, self.seed = store.samples, augment, seed
        self.row = seconds_to_samples(ROW_S)
        self.num_rows = math.ceil(len(self.samples) / self.row)
        self.total = math.ceil(copies * self.num_rows)

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: int) -> tuple[int, np.ndarray]:
        place = index * max(self.total, self.num_rows) // self.total
        copy, number = divmod(place, self.num_rows)
        row = np.asarray(self.samples[number * self.row : (number + 1) * self.row])
        return number, to_int16(self.augment(row, str(number), self.seed, copy))
