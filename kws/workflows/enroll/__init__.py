"""Make a detector from a typed phrase, and from recordings where there are some; what ``kws enroll`` does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.enrollment.methods import EXAMPLES, PHONES, TEXT_ALONE
from kws.workflows import folders, own_names
from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    import numpy as np

    from kws.checkpoint import OperatingPoint
    from kws.decisions import DecisionSettings
    from kws.model import ModelConfig, WakeWordModel
    from kws.workflows.enroll.audio import OtherSpeech


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
        from kws.training.copies import told_hours
        from kws.workflows.told import told

        rate, floored = self.metrics["false_accepts_per_hour"], self.metrics["floored"]
        hours = told_hours(self.metrics["dev_hours"], self.metrics["dev_copies"])
        made = [
            f"{phrase}: {' | '.join(self.pronunciations[phrase])}; threshold {threshold:.3f}"
            f"{', raised, wished' if phrase in floored else ''} for {rate:g} false accepts/h, from "
            f"background speech of {hours}"
            for phrase, threshold in self.metrics["thresholds"].items()
        ]
        return told(made, self.notes, [f"next: kws listen {self.model}"])


@folders.leaves_nothing(own_names.RUN)
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
    false_accepts_per_hour: float = 0.5,
    weights: Path | None = None,
    ensemble: Path | None = None,
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
        false_accepts_per_hour: rate that the thresholds are chosen for, per phrase.
        weights: output of ``kws pretrain``; None takes the shipped recogniser.
        ensemble: finished run of ``kws train`` for the same phrases, beside which they are put; its held-out
            speech takes the place of ``negatives``, and its noise that of ``noise``, where none are given.
        num_workers: processes that read audio.
        overwrite: replace what other phrases left in ``output``.
    Raises:
        ConfigError: a phrase is too short, or the folder holds something else.
        KwsError: a phrase cannot be said, or a file cannot be read.
    """
    from data_prep.synthesis.phones import pronunciations, read_lexicon
    from export.to_onnx import export
    from kws.checkpoint import save_model
    from kws.config import config_hash, to_dict
    from kws.decisions import DecisionSettings
    from kws.enrollment.examples import SHIPPED_MARGIN, stricter
    from kws.enrollment.heard import FRAME_PHONES, FRAMES
    from kws.enrollment.typed import BACKGROUND, doubts, phrase_model, said_alike
    from kws.text import normalize
    from kws.training.provenance import provenance
    from kws.workflows.enroll.audio import augmentation, read_clips, read_negatives, versions
    from kws.workflows.enroll.ensemble import build_ensemble, noise_of, open_trained, recordings_of, speech_of
    from kws.workflows.enroll.examples import fit_examples
    from kws.workflows.other_word import other_words
    from kws.workflows.roles import OwnRecordings
    from kws.workflows.train.request import claim_folder

    phrases = tuple(map(normalize, keywords))
    if isinstance(lexicon, Path):
        folders.keep_apart(output, {"lexicon": (lexicon,)})
        lexicon = read_lexicon(lexicon)
    trained = None if ensemble is None else open_trained(ensemble, phrases)
    split = None
    if trained is not None:
        check_ensemble(method, recordings, weights)
        method, noise = EXAMPLES, noise or noise_of(trained)
        if not negatives:
            negatives, split = [speech_of(trained)], "dev"
    method, notes = choose_method(method, bool(recordings), language, shipped=weights is None)
    check_sources(method, phrases, recordings, negatives, noise, weights)
    spoken = [tuple(map(" ".join, pronunciations(phrase, language, lexicon))) for phrase in phrases]
    model, config = _typed_model(method, phrases, spoken, weights)  # refuses before anything is written
    notes += said_alike(phrases, spoken)
    if language.split("-")[0] != "en" and not negatives:
        notes.append(
            f"`language` {language}: the background speech that ships is English, and the threshold with it; "
            "give `negatives` in your language"
        )
    sources = [str(path.absolute()) for path in (*recordings, *negatives, *noise)]
    facts = {"model": to_dict(config), "rate": false_accepts_per_hour, "sources": sources}
    if ensemble is not None:
        facts["ensemble"] = str(ensemble.absolute())
    identity = config_hash(facts)
    heard = {"recordings": recordings, "negatives": negatives, "noise": noise}
    claim_folder(output, identity, overwrite, {**heard, "weights": (weights,), "ensemble": (ensemble,)})
    clips, own = [], OwnRecordings("recordings")
    for number, (phrase, said, source) in enumerate(zip(phrases, spoken, recordings, strict=False)):
        listed = output / "data" / f"recordings-{number}.jsonl"
        found, said_of_them = read_clips(phrase, said, source, listed, weights, own)
        clips.append(found)
        notes += said_of_them
        if weights is None:
            notes += other_words([phrase], listed, language, [said])
    augment, unreadable = augmentation(noise, own)
    notes += unreadable
    speech = (
        read_negatives(negatives, phrases, output, augment, false_accepts_per_hour, num_workers, split, own)
        if negatives
        else None
    )
    notes += [*(speech.notes if speech else ()), *own.notes()]
    if model is None:
        fitted = fit_examples(
            config,
            clips or [[] for _ in phrases],
            None if trained else speech,
            output / "data" / "voices",
            augment=augment,
            language=language,
            lexicon=lexicon,
            num_workers=num_workers,
        )
        model, scores = fitted.model, fitted.scores
        notes += fitted.notes
        if trained is not None:
            model, config = build_ensemble(trained, fitted.head, config)
            scores = _background(model, speech)
    else:
        fitted = None
        if clips:
            model, config = phrase_model(phrases, spoken, [versions(entry) for entry in clips], weights)
        scores = _background(model, speech)
    if fitted is not None and speech is None:
        scores = stricter(scores, SHIPPED_MARGIN)
    decision = DecisionSettings(false_accepts_per_hour)
    if fitted is None:
        decision = replace(decision, threshold_floor=0.0)
    point, unsure = _operating_point(model, scores, decision, speech)
    if fitted is not None and trained is None:
        notes += fitted.taken_for_each_other(point.thresholds)
    metrics = {
        "thresholds": point.thresholds,
        "floored": point.floored,
        "false_accepts_per_hour": point.decision.false_accepts_per_hour,
        "dev_hours": round(point.dev_hours, 3),
        "dev_copies": round(speech.copies, 3) if speech else 0,
        "recordings": recordings_of(trained) if trained else min(map(len, clips), default=0),
    }
    shipped = [FRAMES, FRAME_PHONES] if method == EXAMPLES else [BACKGROUND]
    origin = provenance(model, [] if negatives else shipped, identity)
    if trained is not None:
        origin |= {"encoder": trained.provenance["encoder"], "ensemble": trained.named()}
        notes.append(
            f"ensemble with {ensemble}, which learnt from {metrics['recordings']} recordings of each phrase"
        )
    save_model(output, model, config, point, training={}, metrics=metrics, provenance=origin)
    for phrase, said in zip(phrases, spoken, strict=True):
        notes += doubts(phrase, said, None if method == EXAMPLES else point.thresholds[phrase], phrases)
    for phrase, entry, methods in zip(phrases, clips, config.readings, strict=False):
        notes.append(f"{phrase}: listens for {len(methods)} versions of {len(entry)} recordings as well")
    said_of_each = dict(zip(phrases, spoken, strict=True))
    return Enrolled(export(output), said_of_each, metrics, tuple([*notes, *unsure]))


def choose_method(
    method: str | None, recorded: bool, language: str, *, shipped: bool
) -> tuple[str, list[str]]:
    """Return how phrases are found, and what would miss less.

    Args:
        method: as asked for; None takes the one that misses least of those that are possible.
        recorded: there are recordings.
        language: eSpeak language code.
        shipped: the shipped recogniser is used, of which the frames of other speech are known.
    Raises:
        ConfigError: a layer is asked for, and there is nothing to fit it to.
    """
    from data_prep.synthesis import flite
    from kws.errors import ConfigError

    voices_speak = bool(flite.voices_for(language))
    if method == EXAMPLES and not (recorded or voices_speak):
        raise ConfigError(
            f"`method` {EXAMPLES}: needs `recordings` (three to ten), or synthetic voices, but "
            f"{flite.lacking(language)}; or leave `method` out"
        )
    if method is not None:
        return method, []
    if recorded or (voices_speak and shipped):
        return EXAMPLES, []
    if flite.speaks(language) and shipped:
        return PHONES, ["with Flite's voices (`apt install flite`) less than half as much is missed in noise"]
    return PHONES, []


def check_ensemble(method: str | None, recordings: Sequence[Path], weights: Path | None) -> None:
    """Refuse what does not go into an ensemble with a trained run.

    Raises:
        ConfigError: the message names the option.
    """
    from kws.errors import ConfigError

    if method not in (None, EXAMPLES):
        raise ConfigError(f"`method` {method}: with `ensemble` only {EXAMPLES} is possible; leave it out")
    if recordings:
        raise ConfigError("`recordings`: the run of `ensemble` has heard recordings; leave them out")
    if weights is not None:
        raise ConfigError("`weights`: an ensemble needs the recogniser that ships; leave it out")


def check_sources(
    method: str,
    phrases: Sequence[str],
    recordings: Sequence[Path],
    negatives: Sequence[Path],
    noise: Sequence[Path],
    weights: Path | None,
) -> None:
    """Refuse audio that a method does not take, and a method without the audio that it needs.

    Raises:
        ConfigError: the message names the option.
    """
    from kws.errors import ConfigError

    if weights is not None and not negatives:
        raise ConfigError("`weights`: what ships fits the shipped recogniser alone; give `negatives` as well")
    if noise and method != EXAMPLES and not negatives:
        raise ConfigError(
            f"`noise`: is mixed into examples, which `method` {method} has none of, and into `negatives`; "
            "leave it out, or give those"
        )
    if method in TEXT_ALONE and (recordings or not negatives):
        raise ConfigError(f"`method` {method}: takes `negatives` for the threshold, and no `recordings`")
    if recordings and len(recordings) != len(phrases):
        raise ConfigError(f"got {len(phrases)} phrases and {len(recordings)} `recordings`; give one for each")


def _typed_model(
    method: str, phrases: Sequence[str], spoken: Sequence[tuple[str, ...]], weights: Path | None
) -> tuple[WakeWordModel | None, ModelConfig]:
    """Return the model as text alone makes it, None where examples do, and what it is made of.

    Raises:
        ConfigError: a phrase is too short.
    """
    from kws.enrollment.typed import check_phrases, phrase_model, word_space_model
    from kws.workflows.enroll.examples import examples_config

    if method == EXAMPLES:
        check_phrases(phrases, spoken)
        return None, examples_config(phrases, spoken, weights)
    if method == PHONES:
        return phrase_model(phrases, spoken, weights=weights)
    return word_space_model(phrases, spoken, method, weights)


def _operating_point(
    model: WakeWordModel,
    scores: np.ndarray,
    settings: DecisionSettings,
    speech: OtherSpeech | None,
) -> tuple[OperatingPoint, list[str]]:
    """Return thresholds by (frames, keyword) scores of background speech, and what is unsure about them.

    Args:
        model: of the phrases.
        scores: of own speech and its copies, or of what ships.
        settings: the rate, and how scores become detections.
        speech: own speech; None where it is what ships, whose thresholds were measured (docs/log).
    """
    from kws.audio import SAMPLE_RATE
    from kws.enrollment.examples import SHIPPED_RATE
    from kws.evaluation.thresholds import DevScores, choose_operating_point

    hours = len(scores) * model.hop_samples / SAMPLE_RATE / 3600
    point, _, unsure = choose_operating_point(
        DevScores([], (), scores, hours),
        model.keywords,
        hop_samples=model.hop_samples,
        settings=settings,
        given_hours=None if speech is None else len(speech.samples) / SAMPLE_RATE / 3600,
        proven_per_hour=SHIPPED_RATE if speech is None else math.inf,
    )
    return point, unsure


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
