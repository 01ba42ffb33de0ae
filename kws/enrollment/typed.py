"""A detector from typed text, or text and a few recordings: the recogniser's phones searched for the phrase.

Where it may fire is read off background speech: what a person gives, or speech whose phones, as the shipped
recogniser heard them, are in the package.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.audio import samples_to_seconds
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded_weights import ASSETS, load_recognizer
from kws.encoders.truncate import truncate
from kws.errors import CheckpointError, ConfigError
from kws.heads import PHRASE, PhraseHead, WordSpaceHead
from kws.heads.phrase import WORST_FRAME
from kws.heads.words import DEPTH, WORDS
from kws.model import ModelConfig, WakeWordModel
from kws.phones import BLANK, NUM_OUTPUTS
from kws.weights import load_strictly, read_weights

BACKGROUND = ASSETS / "background.safetensors"
"""Phones that the shipped recogniser heard in speech of people and in noise; see the model card."""
STEPS = 15
"""How far a phone is behind the likeliest is kept in so many steps: half a byte."""
ROWS = 32
"""Background is searched in so many pieces at once."""
FEWEST_HEARD, MOST_HEARD = 0.5, 2.5
"""A recording in which fewer phones are heard than this share of the typed ones, or more, is not used."""
TAIL_S = 0.4
HIGH_THRESHOLD = 0.9
"""Above it, other speech comes so near to a phrase that only a nearly perfect reading fires."""
FEW_PHONES = 6
"""A phrase with fewer phones is part of many other words."""


def phrase_model(
    phrases: Sequence[str],
    pronunciations: Sequence[Sequence[str]],
    recordings: Sequence[Sequence[np.ndarray]] = (),
    weights: Path | None = None,
) -> tuple[WakeWordModel, ModelConfig]:
    """Build a detector of typed phrases, in eval mode.

    Args:
        phrases: names of the outputs.
        pronunciations: of each phrase one or more, as ARPAbet phones between spaces.
        recordings: of each phrase any number, (samples,) float32; one in which too few phones are heard is
            not used.
        weights: output of ``kws pretrain``; None takes the shipped recogniser.
    Raises:
        ConfigError: a phrase has no pronunciation, or one of a single phone.
        ManifestError: a phone is unknown.
        CheckpointError: the weights cannot be read.
    """
    check_phrases(phrases, pronunciations)
    recognizer = load_recognizer(weights)
    heard: list[list[Tensor]] = [[] for _ in phrases]
    for found, clips, spoken in zip(heard, recordings, pronunciations, strict=False):
        found += [way for way in (reading(recognizer, clip) for clip in clips) if is_like(way, spoken)]
    config = ModelConfig(
        keywords=tuple(phrases),
        weights=weights,
        depth=len(recognizer.encoder.layers),
        head=PHRASE,
        pronunciations=tuple(map(tuple, pronunciations)),
        readings=tuple(tuple(map(len, found)) for found in heard),
    )
    head = PhraseHead(recognizer.encoder.info.dimension, pronunciations, config.readings)
    head.output.load_state_dict(recognizer.output.state_dict())
    if len(head.heard):
        head.heard.copy_(torch.cat([way for found in heard for way in found]))
    return WakeWordModel(recognizer.encoder, head, phrases).eval(), config


def word_space_model(
    phrases: Sequence[str],
    pronunciations: Sequence[Sequence[str]],
    space: str,
    weights: Path | None = None,
) -> tuple[WakeWordModel, ModelConfig]:
    """Build a detector that looks for typed phrases in a space of words, in eval mode.

    Args:
        phrases: names of the outputs.
        pronunciations: of each phrase one or more, as ARPAbet phones between spaces.
        space: ``attributes`` or ``words``; see :mod:`kws.heads.words`.
        weights: output of ``kws pretrain``; None takes the shipped recogniser.
    Raises:
        ConfigError: a phrase has no pronunciation, or one of a single phone.
        ManifestError: a phone is unknown.
        CheckpointError: the weights or the maps beside them cannot be read.
    """
    check_phrases(phrases, pronunciations)
    encoder = load_recognizer(weights).encoder
    encoder = truncate(encoder, min(DEPTH, encoder.info.num_layers))
    head = WordSpaceHead(encoder.info.dimension, space, pronunciations)
    path = (weights or ASSETS) / WORDS
    maps = read_weights(path) if path.is_file() else {}
    own = {name: tensor.float() for name, tensor in maps.items() if name.startswith(f"{space}.")}
    if not own:
        raise CheckpointError(
            f"{path}: holds no map `{space}`; `kws pretrain` makes it where the recipe sets `words` (and, "
            "for the map `words`, a manifest has `word_phones`)"
        )
    load_strictly(head.space, {name.removeprefix(f"{space}."): own[name] for name in own}, path)
    config = ModelConfig(
        keywords=tuple(phrases),
        weights=weights,
        depth=encoder.info.num_layers,
        head=space,
        pronunciations=tuple(map(tuple, pronunciations)),
    )
    return WakeWordModel(encoder, head, phrases).eval(), config


def check_phrases(phrases: Sequence[str], pronunciations: Sequence[Sequence[str]]) -> None:
    """Refuse a phrase that cannot be said, or of one phone in any accent.

    Raises:
        ConfigError: there is one.
    """
    for phrase, spoken in zip(phrases, pronunciations, strict=True):
        lengths = [len(phones.split()) for phones in spoken]
        if spoken and min(lengths) > 1:
            continue
        said = "nothing to say"
        if spoken:
            said = "one phone" if lengths[0] == 1 else f"{lengths[0]} phones, in some accents one"
        raise ConfigError(
            f"phrase {phrase!r}: {said}, which cannot be told from other speech; type a longer phrase"
            f"{in_quotes(phrases)}"
        )


def in_quotes(phrases: Sequence[str]) -> str:
    """Return the advice for single words that may be meant as one phrase; empty for any other phrases."""
    if len(phrases) == 1 or any(" " in phrase for phrase in phrases):
        return ""
    return f'. If you mean one phrase, put the phrase in quotes: kws enroll "{" ".join(phrases)}"'


def said_alike(phrases: Sequence[str], pronunciations: Sequence[Sequence[str]]) -> list[str]:
    """Say which phrases are easily taken for each other.

    Args:
        phrases: what is listened for.
        pronunciations: of each phrase, the usual one first.
    Raises:
        ConfigError: two phrases are said in the same way, so that nothing tells them apart.
    """
    notes = []
    for (one, said_one), (other, said_other) in itertools.permutations(
        zip(phrases, pronunciations, strict=True), 2
    ):
        if said_one[0] == said_other[0]:
            raise ConfigError(
                f"{one!r} and {other!r} are both said {said_one[0]}; give one of them, as nothing tells which"
            )
        shared = [phones for phones in said_one if phones in said_other]
        if shared and phrases.index(one) < phrases.index(other):
            notes.append(
                f"{one} and {other}: are said alike in some accents ({shared[0]}); one of them fires then"
            )
        elif not shared and f" {said_one[0]} " in f" {said_other[0]} ":
            notes.append(f"{one}: is a part of {other!r} and may fire in its place")
    return notes


def is_like(way: Tensor, pronunciations: Sequence[str]) -> bool:
    """Return whether about as many phones were heard in a recording as a phrase has."""
    lengths = [len(phones.split()) for phones in pronunciations]
    return FEWEST_HEARD * min(lengths) <= len(way) <= MOST_HEARD * max(lengths)


def reading(recognizer: PhoneRecognizer, waveform: np.ndarray) -> Tensor:
    """Return what a recogniser hears in a recording: (phones, 40) distributions without blank.

    Frames whose likeliest symbol is the same phone are averaged; those more likely blank than not are left
    out.

    Args:
        recognizer: in eval mode.
        waveform: (samples,) float32 of the phrase alone.
    """
    lookahead_s = samples_to_seconds(recognizer.encoder.info.lookahead_samples)
    frames = recognizer.hear(waveform, lookahead_s + TAIL_S).exp()
    groups: list[list[Tensor]] = []
    before = BLANK
    for frame in frames:
        if float(frame[BLANK]) >= 0.5:
            before = BLANK
            continue
        phones = torch.cat([torch.zeros(1), frame[1:] / frame[1:].sum()])
        if int(phones.argmax()) != before:
            groups.append([])
        groups[-1].append(phones)
        before = int(phones.argmax())
    return torch.stack([torch.stack(group).mean(dim=0) for group in groups]) if groups else frames[:0]


def pack_background(log_probabilities: Tensor) -> Tensor:
    """Return how far each symbol is behind the likeliest of its frame, as (frames, 20) bytes of two halves.

    Args:
        log_probabilities: (frames, 40).
    """
    behind = log_probabilities.amax(dim=-1, keepdim=True) - log_probabilities
    steps = (behind / WORST_FRAME * STEPS).round().clamp(max=STEPS).to(torch.uint8)
    return steps[:, 0::2] * (STEPS + 1) + steps[:, 1::2]


def read_background(path: Path = BACKGROUND) -> Tensor:
    """Return (frames, 40) log-probabilities relative to the likeliest symbol, from a packed file.

    Raises:
        CheckpointError: the file is missing, damaged or no packed background.
    """
    packed = read_weights(path).get("behind")
    if packed is None or packed.dtype != torch.uint8 or packed.shape[1:] != (NUM_OUTPUTS // 2,):
        raise CheckpointError(f"{path}: is no packed background speech; install the package again")
    steps = torch.stack([packed // (STEPS + 1), packed % (STEPS + 1)], dim=-1)
    return steps.flatten(1).float() * (-WORST_FRAME / STEPS)


@torch.no_grad()
def background_logits(head: PhraseHead, background: Tensor) -> Tensor:
    """Return the (frames, keyword) logits of a head on (frames, 40) background, searched in rows at once."""
    width = -(-len(background) // ROWS)
    padded = nn.functional.pad(background, (0, 0, 0, ROWS * width - len(background)))
    logits, _ = head.search(padded.reshape(ROWS, width, -1), head.initial_state(ROWS)[0])
    return logits.flatten(0, 1)[: len(background)]


def doubts(
    phrase: str,
    pronunciations: Sequence[str],
    threshold: float | None = None,
    phrases: Sequence[str] = ("",),
) -> list[str]:
    """Say why a phrase makes a poor wake word, if it does.

    Args:
        phrase: what is listened for.
        pronunciations: of it.
        threshold: score at which its phones fire; None where it is not its phones that are searched for.
        phrases: all that the model listens for.
    """
    found = []
    num_phones = min(len(phones.split()) for phones in pronunciations)
    if num_phones < FEW_PHONES:
        found.append(
            f"{phrase}: {num_phones} phones are few and part of many other words; with {FEW_PHONES} or more "
            f"it misses less at the same false accepts{in_quotes(phrases) if num_phones < 4 else ''}"
        )
    if threshold is not None and threshold > HIGH_THRESHOLD:
        found.append(
            f"{phrase}: its phones are common: other speech comes so near to it that only a nearly perfect "
            f"reading fires (threshold {threshold:.3f}); rarer sounds, a longer phrase or `recordings` help"
        )
    return found
