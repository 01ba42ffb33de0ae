"""Batches of transcribed speech for CTC pretraining: reproducible from seed and step, bucketed by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kws import audio
from kws.encoders.sources.embedded import SUBSAMPLING, EmbeddedEncoder
from kws.errors import ManifestError
from kws.manifest import Recording
from kws.pretraining.checks import TAIL_S
from kws.pretraining.corpus import Augment, SpeechCorpus, features_of, log_mel, with_tail

NEIGHBORS = 256
"""A batch is drawn from this many utterances of like length around a random one."""


class CtcBatch(NamedTuple):
    """One batch of transcribed speech.

    Attributes:
        features: (batch, 4 * time, mel) log-mel of the encoder's front end.
        lengths: (batch,) int64, valid encoder frames per row, the tail included.
        targets: (sum of target lengths,) int64 phone indices, rows one after the other.
        target_lengths: (batch,) int64; 0 where what is said is not known.
        embeddings: (batch, time, dimension) what a teacher says at the end of each encoder frame, or None.
        outputs: (batch,) int64, which output of the recogniser the targets are of; None: all of the main one.
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    embeddings: Tensor | None = None
    outputs: Tensor | None = None

    def rows_of(self, output: int) -> Tensor:
        """Return (batch,) bool: the rows that an output of the recogniser is taught by."""
        outputs = torch.zeros_like(self.lengths) if self.outputs is None else self.outputs
        return outputs == output


def collate(
    rows: list[np.ndarray], corpus: SpeechCorpus, indices: Sequence[int], encoder: EmbeddedEncoder
) -> CtcBatch:
    """Pad log-mel rows of utterances to the longest with digital silence, and add what is said in them."""
    targets = [corpus.targets[index] for index in indices]
    features = encoder.frontend.silence().repeat(len(rows), max(len(row) for row in rows), 1)
    for padded, row in zip(features, rows, strict=True):
        padded[: len(row)] = torch.from_numpy(row)
    return CtcBatch(
        features,
        torch.tensor([len(row) // SUBSAMPLING for row in rows]),
        torch.tensor([index for target in targets for index in target]),
        torch.tensor([len(target) for target in targets]),
        outputs=torch.tensor([corpus.outputs[index] for index in indices]) if corpus.inventories else None,
    )


class TrainingBatches(IterableDataset[CtcBatch]):
    """Training batches; batch ``step`` depends on seed and step alone, so a resumed run goes on alike.

    Args:
        corpus: what to draw from.
        batch_s: seconds of audio per batch, padding not counted.
        augment: waveform augmentation, or None.
        ramp_steps: steps over which the share of augmented utterances rises from none to all; CTC finds its
            first alignments in clean speech far sooner.
        encoder: whose front end makes the features.
        first_step, num_steps: which batches to give.
        seed: seed of every draw.
    Raises:
        ManifestError: an utterance has a phone that the inventory of its output lacks.
    """

    def __init__(
        self,
        corpus: SpeechCorpus,
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
        if corpus.unknown:
            first = corpus.utterances[corpus.unknown[0]]
            raise ManifestError(
                f"{first.path}: has phones that no output gives; read speech to train on with `known_only`"
            )
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
        low = max(0, min(anchor - NEIGHBORS // 2, total - NEIGHBORS))
        near = np.arange(low, min(total, low + NEIGHBORS))
        chances = corpus.weights[near] / corpus.weights[near].sum()
        mean_s = float(np.mean([corpus.utterances[index].length_s for index in near]))
        count = max(1, min(len(near), round(self.batch_s / (mean_s + TAIL_S))))
        chosen: list[int] = sorted(rng.choice(near, size=count, replace=False, p=chances).tolist())
        rows = []
        for index in chosen:
            plain = rng.random() * self.ramp_steps > step
            if corpus.kept[index]:
                rows.append(corpus.kept[index][0 if plain else rng.integers(len(corpus.kept[index]))])
                continue
            augment = None if plain else self.augment
            rows.append(features_of(corpus, index, self.encoder, augment, self.seed, step))
        batch = collate(rows, corpus, chosen, self.encoder)
        return batch if corpus.teacher_targets is None else self._with_teacher_targets(batch, rows, chosen)

    def _with_teacher_targets(self, batch: CtcBatch, rows: list[np.ndarray], chosen: list[int]) -> CtcBatch:
        """Add what the teacher says; a row whose speed was changed is as much longer or shorter."""
        targets = self.corpus.teacher_targets
        assert targets is not None
        taught = torch.zeros(*batch.features[:, ::SUBSAMPLING].shape[:2], targets.embeddings[0].shape[1])
        for number, (row, index) in enumerate(zip(rows, chosen, strict=True)):
            num_frames = len(row) // SUBSAMPLING
            recording = len(self.corpus.audio[index]) + audio.seconds_to_samples(TAIL_S)
            taught[number, :num_frames] = torch.from_numpy(
                targets.at_ends(index, num_frames, SUBSAMPLING * recording / len(row))
            )
        return batch._replace(embeddings=taught)


def evaluation_batches(
    corpus: SpeechCorpus, batch_s: float, encoder: EmbeddedEncoder
) -> Iterator[tuple[CtcBatch, list[Recording]]]:
    """Every utterance once, in order of length, with the utterances of each batch."""
    start = 0
    while start < len(corpus.audio):
        stop, seconds = start, 0.0
        while stop < len(corpus.audio) and (
            stop == start or seconds + corpus.utterances[stop].length_s <= batch_s
        ):
            seconds += corpus.utterances[stop].length_s
            stop += 1
        rows = range(start, stop)
        batch = collate(
            [log_mel(with_tail(corpus.audio[row]), encoder) for row in rows], corpus, rows, encoder
        )
        yield batch, [corpus.utterances[row] for row in rows]
        start = stop
