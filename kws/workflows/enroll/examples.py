"""Enrolment by examples: a layer fitted to recordings and synthetic voices, and phones beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from torch import Tensor

    from data_prep.synthesis.engines import VoiceChoice
    from kws.data import Augment
    from kws.enrollment.examples import FittedLayer
    from kws.enrollment.heard import Examples, FirstLayers, FrameSpace, HearingConfig
    from kws.heads import PhraseWindowHead
    from kws.model import ModelConfig, WakeWordModel
    from kws.workflows.enroll.audio import OtherSpeech
    from kws.workflows.enroll.config import EnrollConfig, ExamplesConfig


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

    def confusions(
        self, thresholds: Mapping[str, float], hearing: HearingConfig
    ) -> dict[tuple[int, int], float]:
        """Return how much of each phrase's examples other phrases fire on, by the numbers of both.

        Args:
            thresholds: of the phrases.
            hearing: how the examples were heard.
        """
        from kws.enrollment.examples import share_above

        keywords = self.model.keywords
        return {
            (one, other): float(
                np.mean(
                    [
                        share_above(
                            self.layers[one], self.head, one, found, thresholds[keywords[one]], hearing
                        )
                        for found in self.groups[other]
                    ]
                )
            )
            for one, other in itertools.permutations(range(len(keywords)), 2)
        }


def examples_config(
    phrases: Sequence[str], spoken: Sequence[tuple[str, ...]], weights: Path | None
) -> ModelConfig:
    """Return what the model of these phrases, said so, is made of."""
    from kws.config import to_dict
    from kws.encoders.sources.embedded_weights import load_recognizer
    from kws.enrollment.heard import FirstLayers
    from kws.heads import PHRASE_WINDOW, PhraseWindowOptions
    from kws.model import ModelConfig

    kept = FirstLayers(load_recognizer(weights))
    return ModelConfig(
        tuple(phrases),
        weights=weights,
        depth=kept.info.num_layers,
        head=PHRASE_WINDOW,
        head_options=to_dict(PhraseWindowOptions(tuple(spoken), len(kept.blocks))),
    )


def fit_examples(
    config: ModelConfig,
    clips: Sequence[Sequence[np.ndarray]],
    speech: OtherSpeech | None,
    folder: Path,
    *,
    settings: EnrollConfig,
    augment: Augment,
    language: str,
    lexicon: Mapping[str, Sequence[str]] | None,
    voices: VoiceChoice,
    num_workers: int,
) -> Fitted:
    """Fit a layer to each phrase.

    Args:
        config: as :func:`examples_config` returns it.
        clips: of each phrase any number, (samples,) float32 of the spoken part; none needs synthetic voices.
        speech: without the phrases, for the scores in place of what ships, and as it is to be fitted against
            as well; needed where the config names weights, whose frames do not ship.
        folder: gets the synthetic voices.
        settings: what is tuned.
        augment: what makes noise and rooms around examples.
        language: eSpeak language code.
        lexicon: pronunciations for synthetic voices.
        voices: who they are; with eSpeak's alone there are none.
        num_workers: processes that make them.
    """
    import torch

    from data_prep.synthesis.readings import note
    from kws.audio import SAMPLE_RATE
    from kws.encoders.sources.embedded_weights import load_recognizer
    from kws.enrollment.examples import calibrate, fit, head_of
    from kws.enrollment.heard import Background, FirstLayers, examples_of, windows_within
    from kws.enrollment.notes import learned_from, without_voices
    from kws.errors import KwsError
    from kws.heads import TypedOptions
    from kws.heads.window import STRIDE
    from kws.model import WakeWordModel

    hearing, kinds_of = settings.hearing, settings.examples
    assert isinstance(config.options, TypedOptions)
    kept = FirstLayers(load_recognizer(config.weights))
    background = None if config.weights else Background.shipped()
    scored = background
    if speech is not None:
        scored = Background.of(kept, background.space if background else None, speech.samples, hearing)
        background = background.followed_by(scored) if background else scored
    assert background is not None and scored is not None
    layers, groups, notes = [], [], []
    for phrase, found in zip(config.keywords, clips, strict=True):
        try:
            spoken, alike = _spoken(phrase, folder, language, lexicon, voices, kinds_of, num_workers)
        except KwsError as error:
            if not found:
                raise
            spoken, alike = [], []
            notes.append(without_voices(phrase, error))
        else:
            notes.append(note(phrase, language, lexicon, voices.sources, _place(folder, phrase)))
        both = ((found, kinds_of.recorded()), (spoken, kinds_of.synthetic()))
        kinds = [(said, kind) for said, kind in both if said]
        seen = [
            examples_of(
                kept,
                background.space,
                tqdm(
                    _in_a_room(said, kind.copies, augment, hearing, kinds_of.hiss),
                    f"learning {phrase!r}",
                    total=len(said) * len(kind.copies),
                    unit="example",
                    disable=None,
                ),
                hearing,
            )
            for said, kind in kinds
        ]
        notes.append(learned_from(phrase, len(found), len(spoken)))
        weights = [kind.weight for _, kind in kinds]
        near = None
        if alike:
            said = _in_a_room(alike, range(kinds_of.near_copies), augment, hearing, kinds_of.hiss)
            near = windows_within(kept, background.space, said, hearing)
        layers.append(fit([group.windows for group in seen], weights, background.frames, settings.fit, near))
        groups.append(seen)
    head = head_of(layers, background.space, kept, config.options.pronunciations)
    model = WakeWordModel(kept.encoder, head, config.keywords).eval()
    fitted = torch.from_numpy(np.stack([layer.logits for layer in layers], axis=1))
    phones = torch.from_numpy(background.phone_logits(head.phrase))
    frames_per_hour = 3600 * SAMPLE_RATE / (STRIDE * model.hop_samples)
    calibrate(head, fitted, phones, frames_per_hour, settings.calibration)
    logits = [head.fuse(fitted, phones)[-len(scored.frames) :]]
    if speech is not None and speech.rows:
        logits.append(_logits_of_copies(kept, layers, head, background.space, speech.rows, hearing))
    scores = torch.cat(logits).sigmoid().numpy()
    return Fitted(model, head, scores.repeat(STRIDE, axis=0), layers, groups, notes)


def _logits_of_copies(
    kept: FirstLayers,
    layers: Sequence[FittedLayer],
    head: PhraseWindowHead,
    space: FrameSpace,
    rows: Sequence[tuple[int, np.ndarray]],
    hearing: HearingConfig,
) -> Tensor:
    """Return (frames, keyword) logits of copies of own speech, each by layers that did not see its original.

    Args:
        kept: what hears them.
        layers: of each phrase, fitted to what ships and to own speech after it.
        head: made of them.
        space: of the background.
        rows: copies and the numbers of the rows that they are of.
        hearing: how they are heard.
    """
    import torch

    from kws.enrollment.heard import Background
    from kws.heads.window import STRIDE

    least = STRIDE * kept.info.hop_samples
    copies = [(number, Background.of(kept, space, row, hearing)) for number, row in rows if len(row) >= least]
    seen = [
        np.concatenate([layer.logits_of_copy(copy.frames, number) for number, copy in copies])
        for layer in layers
    ]
    frames = np.concatenate([copy.frames for _, copy in copies])
    whole = Background(space, frames, torch.cat([copy.phones for _, copy in copies]))
    return head.fuse(
        torch.from_numpy(np.stack(seen, axis=1)), torch.from_numpy(whole.phone_logits(head.phrase))
    )


def _in_a_room(
    clips: Sequence[np.ndarray], copies: range, augment: Augment, hearing: HearingConfig, hiss: float
) -> Iterator[np.ndarray]:
    """Make copies of each clip with near silence around it, augmented but for copy 0."""
    from kws.audio import seconds_to_samples

    around = (seconds_to_samples(hearing.before_s), seconds_to_samples(hearing.after_s))
    for number, clip in enumerate(clips):
        padded = np.pad(clip, around)
        deviation = hiss * np.abs(clip).max()
        noise = np.random.default_rng(number).standard_normal(len(padded)) * deviation
        padded = (padded + noise).astype(np.float32)
        for copy in copies:
            yield augment(padded, str(number), 0, copy) if copy else padded


def _place(folder: Path, phrase: str) -> Path:
    """Return where the synthetic recordings of a phrase are kept."""
    from data_prep.synthesis.espeak import stable_hash

    return folder / f"{stable_hash(phrase) & 0xFFFFFFFF:08x}"


def _spoken(
    phrase: str,
    folder: Path,
    language: str,
    lexicon: Mapping[str, Sequence[str]] | None,
    voices: VoiceChoice,
    config: ExamplesConfig,
    num_workers: int,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the spoken parts of synthetic recordings of a phrase, and of what sounds like a part of it.

    Raises:
        DependencyError: no voices but eSpeak's are there for this language.
        KwsError: they cannot say the phrase.
    """
    from data_prep import manifests
    from data_prep.synthesis.keyword import synthesize_keyword
    from data_prep.synthesis.spoken_form import words
    from kws import audio
    from kws.errors import DependencyError
    from kws.speech_span import TRAINING, speech_span

    if not voices.speakers:
        raise DependencyError(voices.lacking)
    num_near = config.num_near if len(words(phrase)) > 1 else 0
    said, other = synthesize_keyword(
        phrase,
        _place(folder, phrase),
        config.num_voices,
        num_near,
        splits={"train": 1.0},
        confusable_share=1.0,
        language=language,
        speakers=voices.speakers,
        with_espeak=voices.with_espeak,
        lexicon=lexicon,
        num_workers=num_workers,
    )

    def heard(manifest: Path) -> list[np.ndarray]:
        waveforms = [audio.load(entry.path) for entry in manifests.read(manifest)]
        return [waveform[slice(*speech_span(waveform, TRAINING))] for waveform in waveforms]

    return heard(said), heard(other) if num_near else []
