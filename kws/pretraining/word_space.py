"""Teaches the two maps of :mod:`kws.heads.words`: windows of speech to places of words, for one recogniser.

Where each phone of the transcribed speech ends is found by forced alignment with the recogniser itself; any
run of phones then is a word to learn from. Only linear maps are learnt, on features that do not change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.functional import forced_align
from tqdm import tqdm

from kws.encoders.ctc import PhoneRecognizer
from kws.errors import ManifestError
from kws.heads.words import DEPTH, KNOWN_WORDS, WORDS, AttributeSpace, WordSpace, window_frames
from kws.phone_attributes import embed, segment_means
from kws.phones import PHONES
from kws.pretraining.corpus import SpeechCorpus, log_mel, with_tail
from kws.weights import write_weights


@dataclass(frozen=True, slots=True)
class WordSpaceConfig:
    """How the maps are learnt."""

    steps: int = 2000
    """Optimiser steps of each map."""
    batch: int = 256
    """Windows per step; a quarter as many from anywhere come with them."""
    learning_rate: float = 3e-3
    """Peak AdamW rate; falls to zero on a cosine."""
    weight_decay: float = 0.01
    """Of AdamW."""
    margin: float = 0.4
    """By how much nearer a word's own window must be than that of a word that shares nothing with it."""
    hardest: int = 16
    """Wrong pairs of each word and window that count, the nearest ones."""
    num_phones: tuple[int, ...] = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    """Lengths of the runs of phones."""
    seed: int = 0
    """Seed of weights and draws."""


class Aligned(NamedTuple):
    """An utterance as the maps read it.

    Attributes:
        features: (frames, dimension) of the layer below the maps.
        ends: (phones,) frame in which each phone ends.
        phones: what was said.
        words: first phone and number of phones of each word, where the manifest has ``word_phones``.
    """

    features: Tensor
    ends: np.ndarray
    phones: list[str]
    words: list[tuple[int, int]]

    def parts(self, end: int, num_phones: int) -> Tensor:
        """Return (SEGMENTS, dimension) means of the window for so many phones whose last frame is ``end``."""
        length = window_frames(num_phones)
        window = self.features[max(0, end + 1 - length) : end + 1].float()
        return segment_means(length) @ nn.functional.pad(window, (0, 0, length - len(window), 0))

    def anywhere(self, num_phones: int, rng: np.random.Generator) -> Tensor:
        """Return the means of a window that ends anywhere."""
        return self.parts(int(rng.integers(len(self.features))), num_phones)


@torch.no_grad()
def align(recognizer: PhoneRecognizer, corpus: SpeechCorpus, progress: bool = True) -> list[Aligned]:
    """Find where each phone of a corpus ends.

    Args:
        recognizer: in eval mode.
        corpus: speech; utterances without a transcript are left out.
        progress: show a bar.
    Raises:
        ManifestError: nothing is left.
    """
    found = []
    depth = min(DEPTH, len(recognizer.encoder.layers))
    rows = zip(corpus.utterances, corpus.audio, corpus.targets, strict=True)
    for utterance, samples, targets in tqdm(
        rows, "aligning", len(corpus.audio), unit="utterance", disable=None if progress else True
    ):
        if not targets:
            continue
        features = torch.from_numpy(log_mel(with_tail(samples), recognizer.encoder)[None])
        hidden = recognizer.hidden(features)
        scores = torch.log_softmax(recognizer.logits(hidden)[0], dim=-1)
        path = forced_align(scores, torch.tensor([targets], dtype=torch.int32))[0][0].numpy()
        after = np.append(path[1:], -1)
        ends = np.flatnonzero((path > 0) & (path != after))
        said = [PHONES[index - 1] for index in targets]
        found.append(Aligned(hidden[depth - 1][0].half(), ends, said, _words(utterance.extra, said)))
    if not found:
        raise ManifestError("word space: no utterance has phones; give transcribed speech, or words: 0")
    return found


def _words(extra: dict[str, Any], said: Sequence[str]) -> list[tuple[int, int]]:
    """Return first phone and number of phones of each word; nothing where the words are not the whole."""
    words = extra.get("word_phones")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return []
    found, first = [], 0
    for word in words:
        length = len(word.split())
        found.append((first, length))
        first += length
    return found if first == len(said) else []


def learn_attributes(aligned: Sequence[Aligned], config: WordSpaceConfig) -> AttributeSpace:
    """Learn to map a window to the attributes of the phones said in it.

    Each window must be nearer to its own phones than to other phones, and each run of phones nearer to its
    own window than to others, by a margin that grows with how unlike the two runs are. Source: structured
    joint embedding, Akata et al., arXiv:1503.08677; the hardest violations, Faghri et al., arXiv:1707.05612.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    space = AttributeSpace(aligned[0].features.shape[1])
    shortest = min(config.num_phones)
    usable = [entry for entry in aligned if len(entry.phones) >= shortest]
    if not usable:
        raise ManifestError(f"word space: no utterance has {shortest} phones or more; give longer ones")

    def batch() -> tuple[Tensor, Tensor]:
        parts, places = [], []
        for index in rng.integers(len(usable), size=config.batch):
            entry = usable[index]
            lengths = [length for length in config.num_phones if length <= len(entry.phones)]
            length = int(rng.choice(lengths))
            first = int(rng.integers(len(entry.phones) - length + 1))
            end = int(entry.ends[first + length - 1] + rng.integers(0, 2))
            parts.append(entry.parts(min(end, len(entry.features) - 1), length))
            places.append(embed(" ".join(entry.phones[first : first + length])))
        for index in rng.integers(len(usable), size=config.batch // 4):
            parts.append(usable[index].anywhere(int(rng.choice(config.num_phones)), rng))
        return torch.stack(parts), torch.stack(places)

    def loss() -> Tensor:
        parts, places = batch()
        near = places @ space(parts).T  # (words, windows)
        unlike = 1 - places @ places.T
        own = near.diagonal()[:, None]
        wanted = config.margin * nn.functional.pad(unlike, (0, near.shape[1] - len(places)), value=1.0)
        by_word = (wanted - own + near).clamp(min=0)
        by_window = (config.margin * unlike - own.T + near[:, : len(places)]).clamp(min=0)
        worst = [
            wrong.topk(min(config.hardest, wrong.shape[1]), dim=1).values.mean()
            for wrong in (by_word, by_window.T)
        ]
        return torch.stack(worst).sum()

    _descend(space, loss, config, "learning attributes")
    return space


def learn_words(aligned: Sequence[Aligned], config: WordSpaceConfig) -> WordSpace | None:
    """Learn to tell the words that were said most often, and anything else; None where no word is marked."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    shortest = min(config.num_phones)
    said = [
        (entry, first, length, " ".join(entry.phones[first : first + length]))
        for entry in aligned
        for first, length in entry.words
        if length >= shortest
    ]
    if not said:
        return None
    counts = Counter(spoken for *_, spoken in said)
    known = {spoken: number for number, (spoken, _) in enumerate(counts.most_common(KNOWN_WORDS))}
    said = [row for row in said if row[-1] in known]
    chances = np.array([counts[row[-1]] ** -0.5 for row in said])
    chances /= chances.sum()
    space = WordSpace(aligned[0].features.shape[1])
    space.places[: len(known)] = torch.stack([embed(spoken) for spoken in known])

    def loss() -> Tensor:
        parts, wanted = [], []
        for index in rng.choice(len(said), size=config.batch, p=chances):
            entry, first, length, spoken = said[index]
            end = int(entry.ends[first + length - 1] + rng.integers(0, 2))
            # a phrase has another number of phones than the known words in it
            near = int(np.clip(length + rng.integers(-1, 3), shortest, max(config.num_phones)))
            parts.append(entry.parts(min(end, len(entry.features) - 1), near))
            wanted.append(known[spoken])
        for index in rng.integers(len(aligned), size=config.batch // 4):
            parts.append(aligned[index].anywhere(int(rng.choice(config.num_phones)), rng))
            wanted.append(KNOWN_WORDS)
        return nn.functional.cross_entropy(space.logits(torch.stack(parts)), torch.tensor(wanted))

    _descend(space, loss, config, "learning words")
    return space


def _descend(space: nn.Module, loss: Callable[[], Tensor], config: WordSpaceConfig, what: str) -> None:
    """Minimise a loss that draws its own batches."""
    optimizer = torch.optim.AdamW(
        space.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for _ in tqdm(range(config.steps), what, unit="step", disable=None):
        optimizer.zero_grad()
        torch.autograd.backward(loss())
        optimizer.step()
        schedule.step()
    space.eval()


def make_word_space(
    recognizer: PhoneRecognizer, corpus: SpeechCorpus, folder: Path, config: WordSpaceConfig | None = None
) -> Path:
    """Learn both maps for a recogniser and write them to ``words.safetensors`` in its folder.

    Args:
        recognizer: put into eval mode.
        corpus: transcribed speech; without ``word_phones`` in any manifest there is no map ``words``.
        folder: of the recogniser.
        config: how to learn.
    Raises:
        ManifestError: no utterance can be aligned.
    """
    settings = config or WordSpaceConfig()
    aligned = align(recognizer.eval(), corpus)
    spaces = {"attributes": learn_attributes(aligned, settings), "words": learn_words(aligned, settings)}
    tensors = {
        f"{name}.{key}": value.half()
        for name, space in spaces.items()
        if space is not None
        for key, value in space.state_dict().items()
    }
    write_weights(folder / WORDS, tensors)
    return folder / WORDS
