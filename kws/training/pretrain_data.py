"""Batches of transcribed speech for CTC pretraining: reproducible from seed and step, bucketed by length."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kws import audio, phones
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.manifest import Utterance

logger = logging.getLogger(__name__)

Augment = Callable[..., np.ndarray]
"""``augment(waveform, item_id, seed, epoch) -> waveform``; ``data_prep.augmentation`` makes one."""

TAIL_S = 0.36
"""Silence after each utterance: a causal recogniser names a phone some frames after it was spoken."""
NEIGHBOURS = 256
"""A batch is drawn from this many utterances of like length around a random one."""


class CtcBatch(NamedTuple):
    """One batch of transcribed speech.

    Attributes:
        features: (batch, 4 * time, mel) log-mel of the encoder's front end.
        lengths: (batch,) int64, valid encoder frames per row, the tail included.
        targets: (sum of target lengths,) int64 phone indices, rows one after the other.
        target_lengths: (batch,) int64.
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor


class Corpus:
    """Transcribed utterances with their audio in memory as int16.

    Args:
        utterances: each with ``phones``.
        weights: how often each is drawn, relative to the others; None draws all alike.
    Raises:
        ManifestError: an utterance has no phones or unknown ones.
        AudioError: a file cannot be read.
    """

    def __init__(
        self, utterances: list[Utterance], weights: list[float] | None = None, progress: bool = True
    ) -> None:
        from tqdm import tqdm

        order = np.argsort([utterance.duration_s for utterance in utterances], kind="stable")
        self.utterances = [utterances[index] for index in order]
        self.weights = np.asarray([1.0 if weights is None else weights[index] for index in order])
        self.targets = [phones.encode(entry.phones or "", str(entry.path)) for entry in self.utterances]
        self.audio = [
            audio.to_int16(entry.load())
            for entry in tqdm(self.utterances, "reading speech", disable=not progress)
        ]

    @property
    def hours(self) -> float:
        """Hours of audio, each utterance counted once."""
        return sum(len(samples) for samples in self.audio) / audio.SAMPLE_RATE / 3600


def collate(waveforms: list[np.ndarray], targets: list[list[int]], encoder: EmbeddedEncoder) -> CtcBatch:
    """Pad rows to the longest, rounded up to whole frames, and compute log-mel."""
    hop_samples = encoder.info.hop_samples
    longest = max(len(waveform) for waveform in waveforms)
    padded = np.zeros((len(waveforms), longest + -longest % hop_samples), np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    with torch.no_grad():
        features, _ = encoder.frontend(torch.from_numpy(padded))
    return CtcBatch(
        features,
        torch.tensor([len(waveform) // hop_samples for waveform in waveforms]),
        torch.tensor([index for target in targets for index in target]),
        torch.tensor([len(target) for target in targets]),
    )


def with_tail(samples: np.ndarray) -> np.ndarray:
    """Return int16 audio as float32 with ``TAIL_S`` of silence after it."""
    return np.pad(audio.to_float32(samples), (0, audio.seconds_to_samples(TAIL_S)))


class TrainingBatches(IterableDataset[CtcBatch]):
    """Training batches; batch ``step`` depends on seed and step alone, so a resumed run goes on alike.

    Args:
        corpus: what to draw from.
        batch_s: seconds of audio per batch, padding not counted.
        augment: waveform augmentation, or None.
        ramp_steps: steps over which the share of augmented utterances rises from none to all; CTC finds its
            first
            alignments in clean speech far sooner.
        encoder: whose front end makes the features.
        first_step, num_steps: which batches to give.
        seed: seed of every draw.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        batch_s: float,
        augment: Augment | None,
        ramp_steps: int = 0,
        encoder: EmbeddedEncoder,
        num_steps: int,
        first_step: int = 0,
        seed: int = 0,
        rank: int = 0,
    ) -> None:
        self.corpus, self.batch_s, self.augment, self.ramp_steps = corpus, batch_s, augment, ramp_steps
        self.encoder, self.first_step, self.num_steps, self.seed, self.rank = (
            encoder,
            first_step,
            num_steps,
            seed,
            rank,
        )

    def __iter__(self) -> Iterator[CtcBatch]:
        worker = get_worker_info()
        start, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.first_step + start, self.num_steps, stride):
            yield self.batch(step)

    def batch(self, step: int) -> CtcBatch:
        """Make batch ``step``."""
        rng = np.random.default_rng((self.seed, 1, self.rank, step))
        corpus, total = self.corpus, len(self.corpus.audio)
        anchor = rng.choice(total, p=corpus.weights / corpus.weights.sum())
        low = max(0, min(anchor - NEIGHBOURS // 2, total - NEIGHBOURS))
        near = np.arange(low, min(total, low + NEIGHBOURS))
        chances = corpus.weights[near] / corpus.weights[near].sum()
        mean_s = float(np.mean([corpus.utterances[index].duration_s for index in near]))
        count = max(1, min(len(near), round(self.batch_s / (mean_s + TAIL_S))))
        chosen = rng.choice(near, size=count, replace=False, p=chances)
        waveforms = []
        for index in sorted(chosen):
            waveform = with_tail(corpus.audio[index])
            if self.augment is not None and rng.random() * self.ramp_steps <= step:
                waveform = self.augment(waveform, corpus.utterances[index].item_id, self.seed, step)
            waveforms.append(waveform)
        return collate(waveforms, [corpus.targets[index] for index in sorted(chosen)], self.encoder)


def evaluation_batches(
    corpus: Corpus, batch_s: float, encoder: EmbeddedEncoder
) -> Iterator[tuple[CtcBatch, list[Utterance]]]:
    """Every utterance once, in order of length, with the utterances of each batch."""
    start = 0
    while start < len(corpus.audio):
        stop, seconds = start, 0.0
        while stop < len(corpus.audio) and (
            stop == start or seconds + corpus.utterances[stop].duration_s <= batch_s
        ):
            seconds += corpus.utterances[stop].duration_s
            stop += 1
        rows = range(start, stop)
        batch = collate(
            [with_tail(corpus.audio[row]) for row in rows], [corpus.targets[row] for row in rows], encoder
        )
        yield batch, [corpus.utterances[row] for row in rows]
        start = stop
