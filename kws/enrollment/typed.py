"""A detector from typed text, or text and a few recordings: the recogniser's phones searched for the phrase.

Where it may fire is read off background speech: what a person gives, or speech whose phones, as the shipped
recogniser heard them, are in the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.audio import samples_to_seconds
from kws.config import above_zero, to_dict
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded_weights import ASSETS, load_recognizer
from kws.encoders.truncate import truncate
from kws.enrollment.notes import in_quotes
from kws.errors import CheckpointError, ConfigError
from kws.heads import PHRASE, PhraseHead, PhraseOptions, TypedOptions, WordSpaceHead
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
TAIL_S = 0.4
"""Silence in which a recogniser hears a recording out, in seconds."""


@dataclass(frozen=True, slots=True)
class RecordingsConfig:
    """Which recordings of a phrase are used, and how their phones are listened for."""

    fewest_heard: float = 0.5
    """A recording in which fewer phones are heard than this share of the typed ones is not used."""
    most_heard: float = 2.5
    """One in which more are heard than this share is not used either."""
    num_versions: int = 3
    """Versions of each whose phones are listened for: the first as it is, the others augmented."""

    def __post_init__(self) -> None:
        above_zero("recordings", self, "fewest_heard", "most_heard", "num_versions")


RECORDINGS = RecordingsConfig()


def phrase_model(
    phrases: Sequence[str],
    pronunciations: Sequence[Sequence[str]],
    recordings: Sequence[Sequence[np.ndarray]] = (),
    weights: Path | None = None,
    config: RecordingsConfig = RECORDINGS,
) -> tuple[WakeWordModel, ModelConfig]:
    """Build a detector of typed phrases, in eval mode.

    Args:
        phrases: names of the outputs.
        pronunciations: of each phrase one or more, as ARPAbet phones between spaces.
        recordings: of each phrase any number, (samples,) float32; one in which too few phones are heard is
            not used.
        weights: output of ``kws pretrain``; None takes the shipped recogniser.
        config: which recordings are used.
    Raises:
        ConfigError: a phrase has no pronunciation, or one of a single phone.
        ManifestError: a phone is unknown.
        CheckpointError: the weights cannot be read.
    """
    check_phrases(phrases, pronunciations)
    recognizer = load_recognizer(weights)
    heard: list[list[Tensor]] = [[] for _ in phrases]
    for found, clips, spoken in zip(heard, recordings, pronunciations, strict=False):
        phones = (reading(recognizer, clip) for clip in clips)
        found += [one for one in phones if is_like(one, spoken, config)]
    readings = tuple(tuple(map(len, found)) for found in heard)
    options = PhraseOptions(tuple(map(tuple, pronunciations)), readings)
    made_of = ModelConfig(
        keywords=tuple(phrases),
        weights=weights,
        depth=len(recognizer.encoder.layers),
        head=PHRASE,
        head_options=to_dict(options),
    )
    head = PhraseHead(recognizer.encoder.info.dimension, pronunciations, options.readings)
    head.output.load_state_dict(recognizer.output.state_dict())
    if len(head.heard):
        head.heard.copy_(torch.cat([one for found in heard for one in found]))
    return WakeWordModel(recognizer.encoder, head, phrases).eval(), made_of


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
        head_options=to_dict(TypedOptions(tuple(map(tuple, pronunciations)))),
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


def is_like(heard: Tensor, pronunciations: Sequence[str], config: RecordingsConfig = RECORDINGS) -> bool:
    """Return whether about as many phones were heard in a recording as a phrase has."""
    lengths = [len(phones.split()) for phones in pronunciations]
    return config.fewest_heard * min(lengths) <= len(heard) <= config.most_heard * max(lengths)


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
