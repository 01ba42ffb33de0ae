"""Transcribed utterances with their audio, and the features that batches are made of."""

from __future__ import annotations

import copy
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from kws import audio, phones
from kws.audio_store import AudioStore
from kws.encoders.sources.embedded import HOP_SAMPLES, EmbeddedEncoder
from kws.errors import ManifestError
from kws.manifest import Recording
from kws.pretraining.checks import (
    TAIL_S,
    LeftOut,
    fewest_frames,
    read_speech,
    refuse_too_many,
    shortage,
)

Augment = Callable[..., np.ndarray]
"""``augment(waveform, item_id, seed, epoch) -> waveform``; ``data_prep.augmentation`` makes one."""


class TeacherTargets(NamedTuple):
    """What a teacher says of each recording of a corpus; :mod:`kws.pretraining.teachers` makes it.

    Attributes:
        embeddings: per utterance, with its tail, (frames, dimension) float16, standardised.
        hop_samples: samples between two of them; frame t is about what was heard up to its end.
    """

    embeddings: list[np.ndarray]
    hop_samples: int

    def at_ends(self, index: int, num_frames: int, frame_samples: float) -> np.ndarray:
        """Return the embeddings of an utterance at the ends of equal frames, interpolated.

        Args:
            index: of the utterance.
            num_frames: how many frames.
            frame_samples: their length, in samples of the recording as it is.
        Returns:
            (num_frames, dimension) float32.
        """
        heard = self.embeddings[index].astype(np.float32)
        ends = np.arange(1, num_frames + 1) * frame_samples
        position = np.clip(ends / self.hop_samples - 1, 0, len(heard) - 1)
        low = np.minimum(position.astype(int), max(0, len(heard) - 2))
        share = (position - low)[:, None].astype(np.float32)
        placed: np.ndarray = heard[low] * (1 - share) + heard[np.minimum(low + 1, len(heard) - 1)] * share
        return placed


class SpeechCorpus:
    """Transcribed utterances with their audio, in order of length.

    Attributes:
        audio: per utterance, (samples,) int16.
        kept: per utterance, the log-mel of its versions (see :func:`keep_versions`); empty: augmented anew
            each time.
        teacher_targets: what a teacher says of the utterances, or None.
        outputs: per utterance, which output of the recogniser it teaches; 0 is the main one.
        left_out: lines that cannot be learnt from, in order of length after those that were given.

    Args:
        utterances: with ``phones``, but for those that only a teacher's embeddings are learnt from.
        weights: how often each is drawn, relative to the others; None draws all alike.
        versions: how many versions of each are to be kept; None keeps none.
        languages: language of the output that each teaches, empty for the main one; None: the main one.
        inventories: phone symbols of each language with an output of its own.
        known_only: leave out utterances with a phone that such an inventory lacks, which cannot be learnt;
            else it counts as an error where phones are compared. The main inventory is always held to.
        left_out: lines that were left out before.
        max_left_out: share of the lines that may be left out in all.
        cache: folder that keeps the decoded audio, from where every process maps it (see
            :class:`kws.audio_store.AudioStore`); None holds it in memory.
        num_workers: processes that decode.
    Raises:
        ManifestError: more lines have unknown phones, more phones than frames, or unusable audio.
    """

    def __init__(
        self,
        utterances: list[Recording],
        weights: list[float] | None = None,
        versions: list[int] | None = None,
        progress: bool = True,
        *,
        languages: list[str] | None = None,
        inventories: dict[str, list[str]] | None = None,
        known_only: bool = False,
        left_out: Sequence[LeftOut] = (),
        max_left_out: float = 0.5,
        cache: Path | None = None,
        num_workers: int = 1,
    ) -> None:
        self.left_out = list(left_out)
        total = len(utterances) + sum(entry.is_fault for entry in left_out)
        self.inventories = inventories or {}
        numbers = {language: number for number, language in enumerate(["", *self.inventories])}
        outputs = [numbers[language] for language in languages or [""] * len(utterances)]
        targets: dict[int, list[int]] = {}
        for index in np.argsort([utterance.length_s for utterance in utterances], kind="stable").tolist():
            try:
                targets[index] = self._encode(utterances[index], outputs[index], known_only)
            except ManifestError as error:
                self._leave_out(utterances[index], str(error))
        refuse_too_many(self.left_out, total, max_left_out)
        store = AudioStore(
            [utterances[index] for index in targets],
            cache,
            num_workers,
            "speech",
            decode=read_speech,
            keep_faults=True,
            progress=progress,
        )
        read: dict[int, int] = {}
        for place, index in enumerate(targets):
            fault = store.faults.get(place)
            if fault is None:
                fault = shortage(utterances[index], targets[index], len(store.clip(place)))
            if fault is None:
                read[index] = place
            else:
                self._leave_out(utterances[index], fault)
        refuse_too_many(self.left_out, total, max_left_out)
        self.utterances = [utterances[index] for index in read]
        self.weights = np.asarray([1.0 if weights is None else weights[index] for index in read])
        self.versions = [0 if versions is None else versions[index] for index in read]
        self.kept: list[list[np.ndarray]] = [[] for _ in read]
        self.teacher_targets: TeacherTargets | None = None
        self.outputs = [outputs[index] for index in read]
        self.targets = [targets[index] for index in read]
        self.audio: Sequence[np.ndarray] = store.clips(list(read.values()))

    def _leave_out(self, entry: Recording, reason: str) -> None:
        self.left_out.append(LeftOut(entry.where or str(entry.path), reason))

    def _encode(self, entry: Recording, output: int, known_only: bool) -> list[int]:
        said = entry.phones or ""
        if not output:
            return phones.encode(said, str(entry.path))
        language, symbols = list(self.inventories.items())[output - 1]
        targets = phones.encode_in(symbols, said)
        if known_only and phones.UNKNOWN in targets:
            lacking = sorted(set(said.split()) - set(symbols))
            raise ManifestError(
                f"{entry.path}: {entry.text!r} has the phones {' '.join(lacking)}, which are not in "
                f"`inventories.{language}`; mend the text, or add the phones to the recipe"
            )
        return targets

    @property
    def hours(self) -> float:
        """Hours of audio, each utterance counted once."""
        return sum(len(samples) for samples in self.audio) / audio.SAMPLE_RATE / 3600

    def digest(self) -> str:
        """Return a hash of all that batches are made of: samples, phones, names, weights and versions."""
        found = hashlib.sha256()
        columns = (
            self.utterances,
            self.targets,
            self.outputs,
            self.audio,
            self.weights.tolist(),
            self.versions,
        )
        for entry, targets, output, samples, weight, versions in zip(*columns, strict=True):
            row = [entry.item_id, targets, output, zlib.crc32(samples.data), weight, versions]
            found.update(json.dumps(row).encode())
        return found.hexdigest()

    @property
    def unknown(self) -> list[int]:
        """Utterances with a phone that the inventory of their output lacks."""
        return [index for index, targets in enumerate(self.targets) if phones.UNKNOWN in targets]

    def sample(self, count: int, seed: int = 0) -> SpeechCorpus:
        """Return so many utterances with phones of the main output, or all, the likelier the more weight.

        Raises:
            ManifestError: there is none.
        """
        told = np.array([bool(t) and not o for t, o in zip(self.targets, self.outputs, strict=True)])
        if not told.any():
            raise ManifestError(
                "words: no utterance of `train` has a transcript to learn words from; set it to 0"
            )
        chances = self.weights * told / (self.weights * told).sum()
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(told), size=min(count, int(told.sum())), replace=False, p=chances)
        part = copy.copy(self)
        for name in ("utterances", "targets", "outputs", "audio", "versions"):
            setattr(part, name, [getattr(self, name)[index] for index in sorted(chosen)])
        part.weights, part.kept = self.weights[sorted(chosen)], [[] for _ in chosen]
        part.teacher_targets = None
        return part


def log_mel(waveform: np.ndarray, encoder: EmbeddedEncoder) -> np.ndarray:
    """Return the log-mel (4 * frames, mel) of the whole encoder frames of a (samples,) waveform."""
    whole = len(waveform) // encoder.info.hop_samples * encoder.info.hop_samples
    with torch.no_grad():
        features, _ = encoder.frontend(torch.from_numpy(waveform[None, :whole]))
    held: np.ndarray = features[0].numpy()
    return held


def with_tail(samples: np.ndarray) -> np.ndarray:
    """Return int16 audio as float32 with ``TAIL_S`` of silence after it."""
    return np.pad(audio.to_float32(samples), (0, audio.seconds_to_samples(TAIL_S)))


def features_of(
    corpus: SpeechCorpus,
    index: int,
    encoder: EmbeddedEncoder,
    augment: Augment | None = None,
    seed: int = 0,
    epoch: int = 0,
) -> np.ndarray:
    """Return the log-mel of an utterance, augmented unless that leaves fewer frames than its phones need."""
    waveform = with_tail(corpus.audio[index])
    if augment is not None:
        changed = augment(waveform, corpus.utterances[index].item_id, seed, epoch)
        if len(changed) // HOP_SAMPLES >= fewest_frames(corpus.targets[index]):
            waveform = changed
    return log_mel(waveform, encoder)


class _Versions(Dataset[Tensor]):
    """Log-mel of (utterance, version): version 0 is the recording itself, the others are augmented."""

    def __init__(
        self, corpus: SpeechCorpus, augment: Augment | None, encoder: EmbeddedEncoder, seed: int
    ) -> None:
        self.corpus, self.augment, self.encoder, self.seed = corpus, augment, encoder, seed
        self.wanted = [(index, v) for index, count in enumerate(corpus.versions) for v in range(count)]

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, number: int) -> Tensor:
        torch.set_num_threads(1)
        index, version = self.wanted[number]
        augment = self.augment if version else None
        features = features_of(self.corpus, index, self.encoder, augment, self.seed, version)
        return torch.from_numpy(features).half()


def keep_versions(
    corpus: SpeechCorpus,
    *,
    augment: Augment | None,
    encoder: EmbeddedEncoder,
    seed: int,
    num_workers: int,
    progress: bool = True,
) -> None:
    """Compute the versions that a corpus asks for and keep them in memory, 46 MB an hour at 64 mel bands.

    A small machine then spends its time on the model; masks still differ at every draw. Source: data echoing,
    Choi et al., arXiv:1907.05550.

    Args:
        corpus: its ``kept`` is filled.
        augment: waveform augmentation, or None.
        encoder: whose front end, with its statistics set, makes the features.
        seed: seed of the augmentation; a version depends on it, the item and the version's number alone.
        num_workers: processes; 0 uses this one.
        progress: show a bar.
    """
    made = _Versions(corpus, augment, encoder, seed)
    if not made.wanted:
        return
    threads = torch.get_num_threads()
    loader = DataLoader(
        made, batch_size=None, num_workers=num_workers, prefetch_factor=16 if num_workers else None
    )
    corpus.kept = [[] for _ in corpus.audio]
    for (index, _), features in zip(
        made.wanted,
        tqdm(loader, "augmenting speech", len(made), unit="utterance", disable=None if progress else True),
        strict=True,
    ):
        corpus.kept[index].append(features.numpy().copy())
    torch.set_num_threads(threads)
