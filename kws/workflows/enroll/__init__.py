"""Make a detector from a typed phrase, and from recordings where there are some; what ``kws enroll`` does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kws.enrollment.methods import EXAMPLES
from kws.workflows import folders, written_files
from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    import numpy as np

    from kws.checkpoint import OperatingPoint
    from kws.data import Augment
    from kws.decisions import DecisionSettings
    from kws.model import ModelConfig, WakeWordModel
    from kws.workflows.enroll.audio import OtherSpeech
    from kws.workflows.enroll.config import EnrollConfig
    from kws.workflows.enroll.examples import Fitted
    from kws.workflows.enroll.request import EnrollRequest, ResolvedEnrollment


@dataclass(frozen=True)
class Enrolled:
    """A detector made from text.

    Attributes:
        model: the exported file.
        pronunciations: of each phrase.
        metrics: contents of ``metrics.json``.
        notes: what the person should know.
    """

    model: Path
    pronunciations: dict[str, tuple[str, ...]]
    metrics: dict[str, Any]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        from kws.training.copies import hours_text
        from kws.workflows.summary import summary_lines

        rate, floored = self.metrics["false_accepts_per_hour"], self.metrics["floored"]
        hours = hours_text(self.metrics["dev_hours"], self.metrics["dev_copies"])
        made = [
            f"{phrase}: {' | '.join(self.pronunciations[phrase])}; threshold {threshold:.3f}"
            f"{', raised, wished' if phrase in floored else ''} for {rate:g} false accepts/h, from "
            f"background speech of {hours}"
            for phrase, threshold in self.metrics["thresholds"].items()
        ]
        return summary_lines(made, self.notes, [f"next: kws listen {self.model}"])


@folders.leaves_nothing(written_files.RUN)
@quiet_libraries()
def enroll(
    keywords: Sequence[str],
    output: Path,
    *,
    recordings: Sequence[Path] = (),
    method: str | None = None,
    language: str = "en",
    lexicon: Mapping[str, Sequence[str]] | Path | None = None,
    negatives: Sequence[Path] = (),
    noise: Sequence[Path] = (),
    false_accepts_per_hour: float | None = None,
    weights: Path | None = None,
    ensemble: Path | None = None,
    voices: Sequence[str] | None = None,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    num_workers: int = 2,
    overwrite: bool = False,
) -> Enrolled:
    """Make and export a detector of typed phrases.

    Args:
        keywords: what to listen for, one output each.
        output: folder for the model; like a run of ``kws train`` it can be exported and evaluated.
        recordings: of each phrase, in the same order; none is needed.
        method: ``phones``; ``examples``, which needs recordings or Flite's voices; ``attributes`` or
            ``words``, which need ``negatives`` and take no recordings. None takes the second with recordings,
            and where the shipped recogniser is used and Flite's voices speak the language; else the first.
        language: eSpeak language code; ``en`` takes the pronunciations of all its accents.
        lexicon: upper-case word to ARPAbet phones, or a file with a line `WORD PH PH PH` for each; overrides
            eSpeak.
        negatives: speech to choose the thresholds on; none takes what ships.
        noise: recordings to mix in, into examples and ``negatives``; none makes noise.
        false_accepts_per_hour: rate that the thresholds are chosen for, per phrase; None takes that of
            ``config``, 0.5.
        weights: output of ``kws pretrain``; None takes the shipped recogniser.
        ensemble: finished run of ``kws train`` for the same phrases, beside which they are put; its held-out
            speech takes the place of ``negatives``, and its noise that of ``noise``, where none are given.
        voices: synthesizers that say examples, or voices of them as ``ENGINE:VOICE``; None takes eSpeak and
            the best that is installed (:data:`data_prep.synthesis.engines.BESIDE_ESPEAK`).
        config: YAML of :class:`kws.workflows.enroll.config.EnrollConfig`.
        overrides: ``key=value`` changes, such as ``examples.num_voices=100``.
        num_workers: processes that read audio.
        overwrite: replace what other phrases left in ``output``.
    Raises:
        ConfigError: a phrase is too short, or the folder holds something else.
        KwsError: a phrase cannot be said, or a file cannot be read.
    """
    from kws.text import normalize
    from kws.workflows.enroll.request import EnrollRequest, lexicon_lines, read_config

    folders.keep_apart(output, {"lexicon": (lexicon if isinstance(lexicon, Path) else None,)})
    return enroll_request(
        EnrollRequest(
            tuple(map(normalize, keywords)),
            output,
            recordings=tuple(recordings),
            method=method,
            language=language,
            lexicon=lexicon_lines(lexicon),
            negatives=tuple(negatives),
            noise=tuple(noise),
            weights=weights,
            ensemble=ensemble,
            voices=tuple(voices or ()),
            config=read_config(config, overrides, false_accepts_per_hour),
            num_workers=num_workers,
            overwrite=overwrite,
        )
    )


@folders.leaves_nothing(written_files.RUN)
@quiet_libraries()
def enroll_request(request: EnrollRequest) -> Enrolled:
    """Make and export the detector that a request asks for; see :func:`enroll`."""
    from export.to_onnx import export
    from kws.checkpoint import save_model
    from kws.enrollment import notes as sentences
    from kws.enrollment.heard import FRAME_PHONES, FRAMES
    from kws.enrollment.typed import BACKGROUND
    from kws.heads import PhraseOptions
    from kws.training.provenance import provenance
    from kws.workflows.enroll.ensemble import recordings_of
    from kws.workflows.enroll.request import resolve
    from kws.workflows.train.request import claim_folder

    resolved = resolve(request)
    request, trained, output = resolved.request, resolved.trained, resolved.request.output
    identity, examples = resolved.identity(), resolved.method == EXAMPLES
    claim_folder(output, identity, request.overwrite, request.sources())
    heard = _hear(resolved)
    made = _from_examples(resolved, heard) if examples else _from_text(resolved, heard)
    point, unsure, counts = _operating_point(made, heard.speech, request.config)
    num_recordings = recordings_of(trained) if trained else min(map(len, heard.clips), default=0)
    metrics = {
        "thresholds": point.thresholds,
        "floored": point.floored,
        "false_accepts_per_hour": point.decision.false_accepts_per_hour,
        "false_accepts": counts,
        "dev_hours": round(point.dev_hours, 3),
        "dev_copies": round(heard.speech.copies, 3) if heard.speech else 0,
        "recordings": num_recordings,
    }
    notes = [*resolved.notes, *heard.notes, *made.notes]
    if made.fitted is not None:
        shares = made.fitted.confusions(point.thresholds, request.config.hearing)
        notes += sentences.confused(request.keywords, shares, request.config.doubts)
    shipped = [FRAMES, FRAME_PHONES] if examples else [BACKGROUND]
    origin = provenance(made.model, [] if request.negatives else shipped, identity, [request.language])
    if trained is not None:
        origin |= {"encoder": trained.provenance["encoder"], "ensemble": trained.named()}
        notes.append(sentences.in_ensemble(request.ensemble, num_recordings))
    save_model(output, made.model, made.config, point, training={}, metrics=metrics, provenance=origin)
    for phrase, said in zip(request.keywords, resolved.spoken, strict=True):
        threshold = None if examples else point.thresholds[phrase]
        notes += sentences.doubts(phrase, said, threshold, request.keywords, request.config.doubts)
    readings = options.readings if isinstance(options := made.config.options, PhraseOptions) else ()
    for phrase, clips, versions in zip(request.keywords, heard.clips, readings, strict=False):
        notes.append(sentences.versions_heard(phrase, len(versions), len(clips)))
    said_of_each = dict(zip(request.keywords, resolved.spoken, strict=True))
    return Enrolled(export(output), said_of_each, metrics, (*notes, *unsure))


class EnrollAudio(NamedTuple):
    """The audio of a request.

    Attributes:
        clips: spoken parts of the recordings of each phrase; none where there are no recordings.
        speech: without the phrases; None takes what ships.
        augment: what makes noise and rooms.
        notes: what was left out, and why.
    """

    clips: list[list[np.ndarray]]
    speech: OtherSpeech | None
    augment: Augment
    notes: list[str]


class FittedDetector(NamedTuple):
    """A detector without thresholds.

    Attributes:
        model: in eval mode.
        config: what it is made of.
        scores: (frames, keyword) of background speech.
        decision: how scores become detections.
        fitted: its layers, where phrases may be taken for each other.
        notes: what the person should know.
    """

    model: WakeWordModel
    config: ModelConfig
    scores: np.ndarray
    decision: DecisionSettings
    fitted: Fitted | None
    notes: list[str]


def _hear(resolved: ResolvedEnrollment) -> EnrollAudio:
    """Read the recordings of the phrases, noise, and speech without them."""
    from kws.workflows.enroll.audio import augmentation, read_clips, read_negatives
    from kws.workflows.other_word import other_words
    from kws.workflows.roles import OwnRecordings

    request, config = resolved.request, resolved.request.config
    clips, own, notes = [], OwnRecordings("recordings"), []
    for number, (phrase, said, source) in enumerate(
        zip(request.keywords, resolved.spoken, request.recordings, strict=False)
    ):
        listed = request.output / "data" / f"recordings-{number}.jsonl"
        found, said_of_them = read_clips(
            phrase, said, source, listed, request.weights, own, config.recordings
        )
        clips.append(found)
        notes += said_of_them
        if request.weights is None:
            notes += other_words([phrase], listed, request.language, [said])
    augment, unreadable = augmentation(request.noise, own)
    speech = None
    if request.negatives:
        speech = read_negatives(
            request.negatives,
            request.keywords,
            request.output,
            augment,
            config.decision.false_accepts_per_hour,
            request.num_workers,
            resolved.split,
            own,
            config.dev_copies,
        )
    notes += [*unreadable, *(speech.notes if speech else ()), *own.notes()]
    return EnrollAudio(clips, speech, augment, notes)


def _from_examples(resolved: ResolvedEnrollment, heard: EnrollAudio) -> FittedDetector:
    """Fit layers to examples; with a trained run, put them beside its head."""
    from kws.enrollment.examples import stricter
    from kws.workflows.enroll.ensemble import build_ensemble
    from kws.workflows.enroll.examples import fit_examples

    request, trained, config = resolved.request, resolved.trained, resolved.request.config
    fitted = fit_examples(
        resolved.model_config,
        heard.clips or [[] for _ in request.keywords],
        None if trained else heard.speech,
        request.output / "data" / "voices",
        settings=config,
        augment=heard.augment,
        language=request.language,
        lexicon=request.pronunciations(),
        voices=resolved.voices,
        num_workers=request.num_workers,
    )
    if trained is not None:
        model, model_config = build_ensemble(trained, fitted.head, resolved.model_config)
        scores = _background(model, heard.speech)
        return FittedDetector(model, model_config, scores, config.decision, None, fitted.notes)
    scores = fitted.scores if heard.speech else stricter(fitted.scores, config.shipped_speech.margin)
    return FittedDetector(fitted.model, resolved.model_config, scores, config.decision, fitted, fitted.notes)


def _from_text(resolved: ResolvedEnrollment, heard: EnrollAudio) -> FittedDetector:
    """Return the model of typed phrases, which listens for what is heard in recordings as well.

    Scores of phones say how well a phrase is heard and not how likely it was said: no floor holds for them.
    """
    from kws.enrollment.typed import phrase_model
    from kws.workflows.enroll.audio import versions

    request, config = resolved.request, resolved.request.config
    model, model_config = resolved.model, resolved.model_config
    if heard.clips:
        said = [versions(clips, config.recordings.num_versions) for clips in heard.clips]
        model, model_config = phrase_model(
            request.keywords, resolved.spoken, said, request.weights, config.recordings
        )
    assert model is not None
    decision = replace(config.decision, threshold_floor=0.0)
    return FittedDetector(model, model_config, _background(model, heard.speech), decision, None, [])


def _operating_point(
    made: FittedDetector, speech: OtherSpeech | None, config: EnrollConfig
) -> tuple[OperatingPoint, list[str], dict[str, list[tuple[float, int]]]]:
    """Return thresholds by the scores of background speech, what is unsure about them, and the false accepts.

    Args:
        made: scores of own speech and its copies, or of what ships.
        speech: own speech; None where it is what ships, whose thresholds were measured (docs/log).
        config: how far down those were measured.
    """
    from kws.audio import SAMPLE_RATE
    from kws.evaluation.thresholds import DevScores, choose_operating_point, false_accept_counts

    hop_samples = made.model.hop_samples
    hours = len(made.scores) * hop_samples / SAMPLE_RATE / 3600
    scores = DevScores([], (), made.scores, hours)
    point, _, unsure = choose_operating_point(
        scores,
        made.model.keywords,
        hop_samples=hop_samples,
        settings=made.decision,
        given_hours=None if speech is None else len(speech.samples) / SAMPLE_RATE / 3600,
        proven_per_hour=config.shipped_speech.proven_per_hour if speech is None else math.inf,
    )
    counts = false_accept_counts(scores, made.model.keywords, hop_samples=hop_samples, settings=made.decision)
    return point, unsure, counts


def _background(model: WakeWordModel, speech: OtherSpeech | None) -> np.ndarray:
    """Return (frames, keyword) scores of background speech, what ships where none is given."""
    import numpy as np

    from kws.enrollment.typed import background_logits, read_background
    from kws.heads import PhraseHead
    from kws.training.scan import score_rows

    if speech is not None:
        every = (speech.samples, *(row for _, row in speech.rows))
        return np.concatenate([score_rows(model, samples) for samples in every])
    assert isinstance(model.head, PhraseHead)
    return background_logits(model.head, read_background()).sigmoid().numpy()
