"""Manifests to batches for keyword training: windows cut, placed and augmented on the fly.

Batch ``step`` is a function of the seed and the step alone, so workers, order and a restart do not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kws import phones
from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.audio_store import AudioStore
from kws.errors import ConfigError
from kws.speech_span import TRAINING, speech_span
from kws.structs import Batch, Domains, Transcribed

Augment = Callable[[np.ndarray, str, int, int], np.ndarray]
"""``augment(waveform, item_id, seed, epoch) -> waveform``; ``data_prep.augmentation`` makes one."""
Row = tuple[np.ndarray, np.ndarray, int, int, bool]
"""A window of a batch: samples, target of each keyword, first and last frame that may fire, synthetic."""

LATEST_FIRING_S = 0.4
"""A positive should fire no later than this after the end of the word."""


DRAWN_SHARE = 1.15
"""Windows are drawn this much longer than they are used: a speed change may shorten them."""
SYNTHETIC_SHARE = 0.4
"""Of the positives, beside recordings."""
FEW_WINDOWS, MANY_WINDOWS = (12, 28), (24, 56)
"""Windows per batch that hold a keyword and that hold none, with few recordings and with many. Twice as many
miss much less with 25 recordings and more; with ten, or synthetic voices alone, they miss more, as these are
heard twice as often and learnt by heart (docs/log, windows per batch)."""
MANY_RECORDINGS = 25


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """How training windows are drawn."""

    window_s: float = 2.0
    """Length of a training window in seconds; raised when the recordings' spoken part is longer."""
    num_positives: int | None = None
    """Windows per batch that hold a keyword; None is 12, and 24 from 25 recordings on. Fewer take less
    memory."""
    num_negatives: int | None = None
    """Windows per batch that hold none; None is 28, and 56 from 25 recordings on."""
    speech_before: float = 0.3
    """Share of positives that other speech comes right before."""
    hard_share: float = 0.4
    """Share of negatives drawn from the mined hard ones, once there are any."""
    partial_share: float = 0.1
    """Share of negatives that are the first or last part of a keyword recording alone."""
    confusable_share: float = 0.15
    """Share of negatives that are words which sound like a keyword, where there are any."""
    synthetic_share: float | None = None
    """Share of positives that synthetic voices say, where there are any, and half that of negatives; None is
    0.4 beside recordings, and 1 where all positives are synthetic (docs/log)."""
    transcribed_s: float = 40.0
    """Seconds of transcribed speech that come with each batch, where a regulariser learns from it."""
    num_target: int = 12
    """Windows of the target domain that come with each batch, where a regulariser compares domains."""

    def __post_init__(self) -> None:
        if self.window_s < 0.5:
            raise ConfigError(f"batch.window_s: got {self.window_s}, allowed: 0.5 or more")
        for name in ("num_positives", "num_negatives", "num_target"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ConfigError(f"batch.{name}: got {number}, allowed: 1 or more")
        for name in ("speech_before", "hard_share", "partial_share", "confusable_share", "synthetic_share"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ConfigError(f"batch.{name}: got {share}, allowed: 0 to 1")
        if self.transcribed_s <= 0:
            raise ConfigError(f"batch.transcribed_s: got {self.transcribed_s}, allowed: above 0")

    def num_windows(self, num_recordings: int = 0) -> tuple[int, int]:
        """Return the windows per batch that hold a keyword, and those that hold none.

        Args:
            num_recordings: distinct recordings of the keyword with the fewest.
        """
        usual = MANY_WINDOWS if num_recordings >= MANY_RECORDINGS else FEW_WINDOWS
        return self.num_positives or usual[0], self.num_negatives or usual[1]


class Synthetic(NamedTuple):
    """Synthetic voices beside the recordings of a keyword.

    Attributes:
        keywords, labels: recordings of keywords and the keyword index of each; none where the positives
            themselves are synthetic.
        speech: other speech of such voices, so that the voice itself tells nothing.
    """

    keywords: AudioStore
    labels: Sequence[int]
    speech: AudioStore


class _Words:
    """Recordings of keywords, of which only the loud part is used."""

    def __init__(self, store: AudioStore, labels: Sequence[int]) -> None:
        self.store, self.labels = store, np.asarray(labels)
        self.spans = [speech_span(store.waveform(index), TRAINING) for index in range(len(store))]

    def waveform(self, index: int) -> np.ndarray:
        """Return the loud part of a recording."""
        start, stop = self.spans[index]
        return self.store.waveform(index)[start:stop]

    def draw(self, keyword: int, rng: np.random.Generator) -> int:
        """Return any recording of a keyword."""
        return int(rng.choice(np.flatnonzero(self.labels == keyword)))


class TranscribedBatches:
    """Batches of whole transcribed recordings.

    Args:
        store: recordings, whose manifest lines have ``phones``.
        batch_s: seconds of audio in each batch, padding not counted; at least one recording is in it.
        augment: waveform augmentation, or None.
        seed: seed of every draw.
    Raises:
        ManifestError: a phone is unknown.
    """

    def __init__(
        self, store: AudioStore, batch_s: float, augment: Augment | None = None, seed: int = 0
    ) -> None:
        self.store, self.batch_s, self.augment, self.seed = store, batch_s, augment, seed
        self.said = [phones.encode(entry.phones or "", str(entry.path)) for entry in store.utterances]

    def batch(self, step: int) -> Transcribed:
        """Make batch ``step``; silence follows each recording, in which its last phones may be named."""
        rng = np.random.default_rng((self.seed, 4, step))
        rows: list[np.ndarray] = []
        said: list[list[int]] = []
        for index in rng.permutation(len(self.store)):
            waveform = np.pad(self.store.waveform(index), (0, seconds_to_samples(LATEST_FIRING_S)))
            if rows and sum(map(len, rows)) + len(waveform) > seconds_to_samples(self.batch_s):
                break
            if self.augment is not None:
                waveform = self.augment(waveform, f"transcribed {index}", self.seed, step)
            rows.append(waveform)
            said.append(self.said[index])
        longest = max(map(len, rows))
        return Transcribed(
            torch.from_numpy(np.stack([_fit(row, longest) for row in rows])),
            torch.tensor([len(row) for row in rows]),
            torch.tensor([phone for row in said for phone in row]),
            torch.tensor([len(row) for row in said]),
        )


class KeywordBatches(IterableDataset[Batch]):
    """Endless training batches of keyword and other windows.

    Args:
        positives: keyword recordings.
        labels: keyword index of each recording.
        negatives: speech and noise without any keyword.
        config: how windows are drawn.
        num_keywords: outputs of the model.
        hop_samples: frame hop of the model.
        augment: waveform augmentation, or None.
        seed: seed of every draw.
        confusables: words that sound like a keyword, or None.
        synthetic: synthetic voices, or None.
        transcribed: recordings with ``phones`` that come along in each batch, or None.
        target: audio of another domain that comes along in each batch, or None. The source domain is all
            audio without a keyword, or that of synthetic voices where ``target`` is ``negatives``.
    Attributes:
        hard: end samples, in the joined ``negatives``, of windows that the model takes for a keyword.
        steps: which batches iteration gives.
    """

    def __init__(
        self,
        positives: AudioStore,
        labels: Sequence[int],
        negatives: AudioStore,
        config: BatchConfig,
        *,
        num_keywords: int,
        hop_samples: int,
        augment: Augment | None = None,
        seed: int = 0,
        confusables: AudioStore | None = None,
        synthetic: Synthetic | None = None,
        transcribed: AudioStore | None = None,
        target: AudioStore | None = None,
    ) -> None:
        self.transcribed = (
            None
            if transcribed is None
            else TranscribedBatches(transcribed, config.transcribed_s, augment, seed)
        )
        self.confusables, self.negatives, self.target, self.config = confusables, negatives, target, config
        self.num_positives, self.num_negatives = config.num_windows()
        self.words = _Words(positives, labels)
        self.voices = None if synthetic is None else _Words(synthetic.keywords, synthetic.labels)
        self.voices_speech = None if synthetic is None else synthetic.speech
        share = config.synthetic_share
        if share is None:
            share = SYNTHETIC_SHARE if self.voices and self.voices.spans else 1.0
        self.synthetic_share = share
        self.num_keywords, self.hop_samples, self.augment, self.seed = (
            num_keywords,
            hop_samples,
            augment,
            seed,
        )
        lengths = [stop - start for start, stop in self.words.spans]
        longest = np.percentile(lengths, 95) if lengths else 0
        window = max(
            seconds_to_samples(config.window_s), int(longest) + seconds_to_samples(LATEST_FIRING_S + 0.2)
        )
        self.window_samples = window + -window % hop_samples
        self.drawn_samples = round(DRAWN_SHARE * self.window_samples)
        self.hard: np.ndarray = np.zeros(0, np.int64)
        self.steps = range(0)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        start, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in self.steps[start::stride]:
            yield self.batch(step)

    def batch(self, step: int) -> Batch:
        """Make batch ``step``."""
        rng = np.random.default_rng((self.seed, 2, step))
        rows = []
        keywords = rng.permutation(np.resize(np.arange(self.num_keywords), self.num_positives))
        for keyword in keywords:
            words, name = self.words, "positive"
            if self.voices and keyword in self.voices.labels and rng.random() < self.synthetic_share:
                words, name = self.voices, "synthetic"
            index = words.draw(keyword, rng)
            rows.append(self._positive(words.waveform(index), f"{name} {index}", int(keyword), step, rng))
        rows += [self._negative(step, number, rng) for number in range(self.num_negatives)]
        waveforms, targets, first, last, synthetic = zip(*rows, strict=True)
        said = torch.from_numpy(np.stack(targets))
        return Batch(
            torch.from_numpy(np.stack(waveforms)),
            torch.full((len(rows),), self.window_samples),
            said,
            torch.tensor(first),
            torch.tensor(last),
            None if self.transcribed is None else self.transcribed.batch(step),
            None if self.target is None else self._domains(self.target, step, said, torch.tensor(synthetic)),
        )

    def _domains(self, target: AudioStore, step: int, said: Tensor, synthetic: Tensor) -> Domains:
        """Draw target audio; rows with a keyword are of neither domain, or it would tell them apart."""
        rng = np.random.default_rng((self.seed, 5, step))
        windows = []
        for number in range(self.config.num_target):
            window, _ = self._augmented(self._drawn(target, rng), f"target {number}", step, rng)
            windows.append(window)
        source = said.sum(dim=1) == 0
        if target is self.negatives:
            source &= synthetic
        lengths = torch.full((len(windows),), self.window_samples)
        return Domains(source, torch.from_numpy(np.stack(windows)), lengths)

    def _positive(
        self, word: np.ndarray, name: str, keyword: int, step: int, rng: np.random.Generator
    ) -> Row:
        """Place one recording in a window, the end of the word anywhere that leaves time to fire."""
        latest = self.drawn_samples - int(rng.uniform(0.05, LATEST_FIRING_S) * SAMPLE_RATE)
        earliest = self.drawn_samples - self.window_samples + len(word)
        end = int(rng.integers(min(earliest, latest), latest + 1))
        word = word[-end:]
        window = self._room_tone(rng)
        if len(self.negatives) and rng.random() < self.config.speech_before:
            window[: end - len(word)] = self._other_audio(rng)[: end - len(word)]
        window[end - len(word) : end] = word
        window, ends = self._augmented(window, name, step, rng, (end - len(word) // 2, end))
        targets = np.zeros(self.num_keywords, np.float32)
        targets[keyword] = 1.0
        last = min(self.window_samples - 1, ends[1] + seconds_to_samples(LATEST_FIRING_S))
        return window, targets, max(0, ends[0]) // self.hop_samples, last // self.hop_samples, False

    def _negative(self, step: int, number: int, rng: np.random.Generator) -> Row:
        """Draw a window without a keyword: part of one, a word like it, another voice, a hard one, or any."""
        kind, config, synthetic = rng.random(), self.config, False
        partial = config.partial_share if self.words.spans else 0.0
        confusable = config.confusable_share if self.confusables else 0.0
        if kind < partial:
            window = self._partial(rng)
        elif self.confusables and kind < partial + confusable:
            word = self.confusables.waveform(int(rng.integers(len(self.confusables))))
            window, synthetic = self._placed(word, rng), True
        elif self.voices_speech and rng.random() < self.synthetic_share / 2:
            speech = self.voices_speech.waveform(int(rng.integers(len(self.voices_speech))))
            window, synthetic = self._placed(speech, rng), True
        elif len(self.hard) and kind < partial + confusable + config.hard_share:
            after = int(rng.integers(0, self.window_samples // 2))
            start = int(rng.choice(self.hard)) - self.drawn_samples + after
            window = _fit(self.negatives.window(start, self.drawn_samples), self.drawn_samples)
        else:
            window = self._other_audio(rng)
        window, _ = self._augmented(window, f"negative {number}", step, rng)
        return window, np.zeros(self.num_keywords, np.float32), 0, 0, synthetic

    def _partial(self, rng: np.random.Generator) -> np.ndarray:
        """Put at most half of a keyword recording at a random place in room tone."""
        word = self.words.waveform(int(rng.integers(len(self.words.spans))))
        part = min(int(len(word) * rng.uniform(0.25, 0.5)), self.drawn_samples)
        return self._placed(word[:part] if rng.random() < 0.5 else word[-part:], rng)

    def _placed(self, piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Put a piece at a random place in room tone, or a random part of it where it is too long."""
        spare = self.drawn_samples - len(piece)
        if spare < 0:
            start = int(rng.integers(0, 1 - spare))
            return piece[start : start + self.drawn_samples].copy()
        window = self._room_tone(rng)
        place = int(rng.integers(0, spare + 1))
        window[place : place + len(piece)] = piece
        return window

    def _other_audio(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a window of any negative audio."""
        return self._drawn(self.negatives, rng)

    def _drawn(self, store: AudioStore, rng: np.random.Generator) -> np.ndarray:
        """Draw a window of any audio of a store."""
        start = int(rng.integers(0, max(1, len(store.samples) - self.drawn_samples)))
        return _fit(store.window(start, self.drawn_samples), self.drawn_samples)

    def _augmented(
        self, window: np.ndarray, name: str, step: int, rng: np.random.Generator, places: tuple[int, ...] = ()
    ) -> tuple[np.ndarray, tuple[int, ...]]:
        """Augment a drawn window, keep its last ``window_samples`` and move ``places`` along with it."""
        before = len(window)
        if self.augment is not None:
            window = self.augment(window, f"{name} {rng.integers(2**31)}", self.seed, step)
        shift = len(window) - self.window_samples
        if shift < 0:
            window = np.pad(window, (-shift, 0))
        moved = tuple(round(place * (len(window) + min(0, shift)) / before) - shift for place in places)
        return window[-self.window_samples :], moved

    def _room_tone(self, rng: np.random.Generator) -> np.ndarray:
        """Very quiet noise at a random level, so that digital silence tells nothing."""
        level = 10 ** (rng.uniform(-80, -50) / 20)
        return (rng.standard_normal(self.drawn_samples) * level).astype(np.float32)


def _fit(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut or zero-pad at the end to exactly ``num_samples``."""
    return np.pad(waveform[:num_samples], (0, max(0, num_samples - len(waveform))))
