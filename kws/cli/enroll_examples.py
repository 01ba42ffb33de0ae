"""``kws enroll --way examples``: a layer fitted to recordings and synthetic voices, and phones beside it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from kws.audio_store import AudioStore
    from kws.data import Augment
    from kws.enrollment.examples import FittedLayer
    from kws.enrollment.heard import Examples
    from kws.heads import PhraseWindowHead
    from kws.model import ModelConfig, WakeWordModel

VOICES = 600
"""Synthetic recordings of each phrase."""
TOLD_FROM = 0.1
"""Share of another phrase's examples from which on it is said that a phrase fires on them."""
HISS = 1e-3
"""Deviation of the noise in near silence, as a share of a recording's peak."""


class Kind(NamedTuple):
    """How much examples of one origin count.

    Attributes:
        copies: of each; copy 0 is as it is, the others are augmented.
        weight: of all of them together.
    """

    copies: range
    weight: float


RECORDED, SYNTHETIC = Kind(range(24), 0.2), Kind(range(1, 3), 0.8)
"""A few people tell less of how others speak than many voices (RESULTS.md, typed text)."""


class Fitted(NamedTuple):
    """A model and what it makes of the background.

    Attributes:
        model: in eval mode.
        head: its head.
        scores: (frames, keyword) of the background, by layers that were fitted without it.
        layers: of each phrase.
        groups: examples of each phrase, recordings and synthetic voices apart.
        notes: what the person should know.
    """

    model: WakeWordModel
    head: PhraseWindowHead
    scores: np.ndarray
    layers: list[FittedLayer]
    groups: list[list[Examples]]
    notes: list[str]

    def taken_for_each_other(self, thresholds: Mapping[str, float]) -> list[str]:
        """Say which phrases fire on the examples of others, and how often."""
        from kws.enrollment.examples import share_above

        keywords, notes = self.model.keywords, []
        for one, other in itertools.permutations(range(len(keywords)), 2):
            phrase = keywords[one]
            share = np.mean(
                [
                    share_above(self.layers[one], self.head, one, found, thresholds[phrase])
                    for found in self.groups[other]
                ]
            )
            if share >= TOLD_FROM:
                notes.append(
                    f"{phrase}: fires on {100 * share:.0f} % of the examples of {keywords[other]!r}, too; "
                    "choose phrases less alike, or train on recordings of both with `kws train`"
                )
        return notes


def examples_config(
    phrases: Sequence[str], spoken: Sequence[tuple[str, ...]], weights: Path | None
) -> ModelConfig:
    """Return what the model of these phrases, said so, is made of."""
    from kws.encoders.sources.embedded_weights import load_recogniser
    from kws.enrollment.heard import FirstLayers
    from kws.heads import PHRASE_WINDOW
    from kws.model import ModelConfig

    kept = FirstLayers(load_recogniser(weights))
    return ModelConfig(
        tuple(phrases),
        weights=weights,
        depth=kept.info.num_layers,
        head=PHRASE_WINDOW,
        head_layers=len(kept.blocks),
        pronunciations=tuple(spoken),
    )


def fit_examples(
    config: ModelConfig,
    clips: Sequence[Sequence[np.ndarray]],
    negatives: AudioStore | None,
    folder: Path,
    *,
    noise: Sequence[Path],
    language: str,
    lexicon: Mapping[str, Sequence[str]] | None,
    num_workers: int,
) -> Fitted:
    """Fit a layer to each phrase.

    Args:
        config: as :func:`examples_config` returns it.
        clips: of each phrase any number, (samples,) float32 of the spoken part; none needs synthetic voices.
        negatives: speech without the phrases beside what ships, for the scores; needed where the config
            names weights, whose frames do not ship.
        folder: gets the synthetic voices.
        noise: recordings to mix in; none makes noise in their place.
        language: eSpeak language code; synthetic voices speak along in English, where Flite is installed.
        lexicon: pronunciations for them.
        num_workers: processes that make them.
    """
    import torch

    from kws.audio import SAMPLE_RATE
    from kws.encoders.sources.embedded_weights import load_recogniser
    from kws.enrollment.examples import calibrate, fit, head_of
    from kws.enrollment.heard import Background, FirstLayers, examples_of
    from kws.errors import KwsError
    from kws.heads.window import STRIDE
    from kws.model import WakeWordModel

    kept = FirstLayers(load_recogniser(config.weights))
    background = None if config.weights else Background.shipped()
    scored = background
    if negatives is not None:
        scored = Background.of(kept, background.space if background else None, negatives.samples)
        background = background.followed_by(scored) if background else scored
    assert background is not None and scored is not None
    augment, notes = _augmentation(noise)
    layers, groups = [], []
    for phrase, found in zip(config.keywords, clips, strict=True):
        try:
            voices = _voices(phrase, folder, language, lexicon, num_workers)
        except KwsError as error:
            if not found:
                raise
            voices = []
            notes.append(f"{phrase}: fitted without synthetic voices: {error}")
        kinds = [(said, kind) for said, kind in ((found, RECORDED), (voices, SYNTHETIC)) if said]
        seen = [
            examples_of(kept, background.space, _in_a_room(said, kind.copies, augment))
            for said, kind in kinds
        ]
        notes.append(f"{phrase}: fitted to {len(found)} recordings and {len(voices)} synthetic voices")
        weights = [kind.weight for _, kind in kinds]
        layers.append(fit([group.windows for group in seen], weights, background.frames))
        groups.append(seen)
    head = head_of(layers, background.space, kept, config.pronunciations)
    model = WakeWordModel(kept.encoder, head, config.keywords).eval()
    fitted = torch.from_numpy(np.stack([layer.logits for layer in layers], axis=1))
    phones = torch.from_numpy(background.phone_logits(head.phrase))
    calibrate(head, fitted, phones, 3600 * SAMPLE_RATE / (STRIDE * model.hop_samples))
    scores = head.fuse(fitted, phones)[-len(scored.frames) :].sigmoid().numpy()
    return Fitted(model, head, scores.repeat(STRIDE, axis=0), layers, groups, notes)


def _augmentation(noise: Sequence[Path]) -> tuple[Augment, list[str]]:
    """Return the default augmentation with own noise, and what is wrong with noise that cannot be read."""
    from data_prep import manifests
    from data_prep.augmentation.banks import NoiseBank
    from data_prep.augmentation.chain import default_chain
    from kws.errors import ManifestError

    bank: NoiseBank | None = None
    unreadable: list[str] = []
    if noise:
        given = [entry.path for entry in manifests.read_all(noise) if entry.split != "test"]
        if not given:
            raise ManifestError(
                f"--noise {', '.join(map(str, noise))}: all recordings are of split test; give others"
            )
        bank, unreadable = NoiseBank.of_readable(given)
    return default_chain(bank, seed=0).augment, [f"noise: not used: {reason}" for reason in unreadable]


def _in_a_room(clips: Sequence[np.ndarray], copies: range, augment: Augment) -> list[np.ndarray]:
    """Return copies of each clip with near silence around it, augmented but for copy 0."""
    from kws.audio import seconds_to_samples
    from kws.enrollment.heard import AFTER_S, BEFORE_S

    around = (seconds_to_samples(BEFORE_S), seconds_to_samples(AFTER_S))
    found = []
    for number, clip in enumerate(clips):
        padded = np.pad(clip, around)
        hiss = np.random.default_rng(number).standard_normal(len(padded)) * (HISS * np.abs(clip).max())
        padded = (padded + hiss).astype(np.float32)
        found += [augment(padded, str(number), 0, copy) if copy else padded for copy in copies]
    return found


def _voices(
    phrase: str,
    folder: Path,
    language: str,
    lexicon: Mapping[str, Sequence[str]] | None,
    num_workers: int,
) -> list[np.ndarray]:
    """Return the spoken parts of synthetic recordings of a phrase.

    Raises:
        DependencyError: Flite, whose voices they are, is not installed.
        KwsError: they cannot say the phrase, or not in this language.
    """
    from data_prep import manifests
    from data_prep.synthesis.espeak import stable_hash
    from data_prep.synthesis.flite import flite_voices
    from data_prep.synthesis.keyword import synthesize_keyword
    from kws import audio
    from kws.data import active_span
    from kws.errors import ConfigError, DependencyError

    if language != "en":
        raise ConfigError(f"--language {language}: they are English")
    speakers = flite_voices()
    if not speakers:
        raise DependencyError(
            "they need Flite; with few recordings less is missed with them: `apt install flite`"
        )
    said, _ = synthesize_keyword(
        phrase,
        folder / f"{stable_hash(phrase) & 0xFFFFFFFF:08x}",
        VOICES,
        0,
        splits={"train": 1.0},
        language=language,
        speakers=speakers,
        lexicon=lexicon,
        num_workers=num_workers,
    )
    waveforms = [audio.load(entry.path) for entry in manifests.read(said)]
    return [waveform[slice(*active_span(waveform))] for waveform in waveforms]
