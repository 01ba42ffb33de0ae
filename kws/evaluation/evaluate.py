"""Evaluates a keyword model on recordings: misses, false accepts and latency, by condition and group.

``kws eval`` calls :func:`evaluate`; so does anything that compares models. Thresholds are one per device:
each is chosen on the negatives as they are, and conditions and groups are judged at it.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.config import config_hash, read_yaml
from kws.decisions import DecisionConfig
from kws.detector import Detector
from kws.errors import ConfigError, ManifestError
from kws.evaluation import examples
from kws.evaluation.intervals import hourly_rate, number, proportion
from kws.evaluation.metrics import (
    DetPoint,
    Events,
    Sweep,
    Track,
    choose_threshold,
    hits,
    latency,
    pack,
    sweep,
)
from kws.evaluation.result import EvaluationResult, GroupResult, KeywordResult, OperatingResult
from kws.evaluation.scoring import (
    Change,
    ScoredClip,
    Scorer,
    exported_file,
    hours,
    open_scorer,
    score_manifest,
)
from kws.manifest import Recording
from kws.text import is_said, normalize
from kws.version import __version__

FALSE_ACCEPTS_PER_HOUR = (0.1, 0.5, 1.0)
"""Rates that are reported."""

STORED = "stored threshold"

CONDITION = "condition"
GROUP_FIELDS = (CONDITION, "gender", "age")
"""Manifest fields that divide the positive clips."""

EARLY_S = 0.2
"""A phrase may begin so much before its first loud frame: weak consonants lie below the energy limit (s)."""

ADULT_AGE = 13
"""Years from which a speaker counts as adult, where a manifest holds numbers."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A change made to each positive clip, such as noise at an SNR."""

    name: str
    """What it is called in the report."""
    change: Change
    """Takes a waveform and the name of the item."""


def evaluate(
    model: Path,
    positives: Sequence[Recording],
    negatives: Sequence[Recording],
    output: Path | None = None,
    *,
    copies_of: Callable[[Sequence[Recording]], Callable[[Recording], bool]] | None = None,
    trained_on: Callable[[Recording], bool] | None = None,
    conditions: Sequence[Condition] = (),
    keyword: str | None = None,
    false_accepts_per_hour: Sequence[float] = FALSE_ACCEPTS_PER_HOUR,
    provenance: dict[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> EvaluationResult:
    """Evaluate a model on positive clips and on a stream of negatives.

    Args:
        model: an exported ``.onnx`` or a folder of ``kws train``.
        positives: clips that hold a keyword each; which one, by label, else by text.
        negatives: recordings without it, scored as one stream; those that hold it by label or text are left
            out.
        output: folder for ``evaluation.json`` and ``report.html``; None writes nothing.
        copies_of: makes of recordings what tells copies of them, which are left out of the negatives.
        trained_on: tells recordings that the model was trained on; None where that is unknown.
        conditions: further versions of the positive clips.
        keyword: judge this one only; None judges all that the model knows.
        false_accepts_per_hour: rates of false accepts to report misses at.
        provenance: what the result shall carry, such as command and seed.
        overwrite: replace an earlier result.
        progress: show bars.
    Raises:
        ConfigError: the keyword or a rate is unknown or out of range, or the output exists.
        ManifestError: there are no positive clips of a keyword, or no negatives.
        CheckpointError, AudioError: the model or a recording cannot be used.
    """
    if output is not None and not overwrite and (output / "evaluation.json").exists():
        raise ConfigError(f"{output}: holds an evaluation already; give `overwrite=True` or another `output`")
    for rate in false_accepts_per_hour:
        if not rate > 0:
            raise ConfigError(f"`false_accepts_per_hour`: got {rate}, expected rates above 0, such as 0.5")
    scorer = open_scorer(model)
    named = {normalize(name): name for name in scorer.keywords}
    keyword = None if keyword is None else named.get(normalize(keyword), keyword)
    if keyword is not None and keyword not in scorer.keywords:
        raise ConfigError(f"`keyword`: unknown {keyword!r}; this model knows {', '.join(scorer.keywords)}")
    keywords = scorer.keywords if keyword is None else (keyword,)
    wanted = {name: select_positives(positives, name, alone=len(keywords) == 1) for name in keywords}
    other = [
        entry for entry in negatives if not any(is_said(name, entry.text, entry.label) for name in keywords)
    ]
    is_copy = copies_of([clip for clips in wanted.values() for clip in clips]) if copies_of else None
    kept = [entry for entry in other if is_copy is None or not is_copy(entry)]
    if not kept:
        raise ManifestError(
            f"no negatives are left: {len(negatives) - len(other)} recordings hold a keyword by label or "
            f"text, {len(other)} are given as positives as well; give other audio"
        )
    stream = score_manifest(scorer, kept, stream=True, progress=progress, description="negatives")
    results = []
    for name in keywords:
        versions = [
            (
                condition,
                score_manifest(scorer, wanted[name], change=change, progress=progress, description=condition),
            )
            for condition, change in [(name, None), *((each.name, each.change) for each in conditions)]
        ]
        found = _evaluate_keyword(scorer, name, versions[0][1], versions[1:], stream, false_accepts_per_hour)
        results.append(replace(found, num_trained_on=_count(wanted[name], trained_on)))
    result = EvaluationResult(
        model=str(model),
        keywords=tuple(results),
        negative_hours=hours(stream),
        num_negatives=len(kept),
        num_negative_originals=num_originals(kept),
        num_negative_speakers=len({entry.speaker for entry in kept if entry.speaker}),
        num_left_out=len(negatives) - len(other),
        num_copies_left_out=len(other) - len(kept),
        num_negatives_trained_on=_count(kept, trained_on),
        provenance={**_describe(model, scorer), **(provenance or {})},
    )
    if output is not None:
        from kws.evaluation.report import write_report  # matplotlib is needed for the report alone

        write_report(result, output)
    return result


def _count(utterances: Sequence[Recording], trained_on: Callable[[Recording], bool] | None) -> int | None:
    return None if trained_on is None else sum(map(trained_on, utterances))


def select_positives(utterances: Sequence[Recording], keyword: str, *, alone: bool) -> list[Recording]:
    """Return the clips of a keyword.

    Args:
        utterances: with labels or texts, or without.
        keyword: which one.
        alone: it is the only one judged, so that clips with neither label nor text are of it.
    Raises:
        ManifestError: there are none; the labels that are there are named.
    """
    chosen = [
        entry
        for entry in utterances
        if is_said(keyword, entry.text, entry.label) or (alone and entry.label is None and entry.text is None)
    ]
    if not chosen:
        labels = sorted({entry.label or entry.text or "unlabelled" for entry in utterances})
        found = ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
        raise ManifestError(
            f"positives: no clip is labelled {keyword!r}; found {found or 'no clips'}. "
            "Give clips of the keyword, labelled with it or without labels"
        )
    return chosen


def num_originals(utterances: Sequence[Recording]) -> int:
    """Count different recordings: stretches of a file, and copies of one ``original``, count once."""
    return len({str(entry.extra.get("original") or entry.path) for entry in utterances})


def group_value(utterance: Recording, name: str) -> str | None:
    """Return which part of a division a clip belongs to, None where its manifest does not say."""
    value = utterance.column(name)
    if value is None or value == "":
        return None
    if name == "age" and isinstance(value, (int, float)):
        return f"under {ADULT_AGE}" if value < ADULT_AGE else f"{ADULT_AGE} or older"
    return str(value)


def first_frames(clips: Sequence[ScoredClip], hop_s: float) -> np.ndarray:
    """Return (clips,) the frames before which a detection cannot be of the phrase."""
    starts_s = np.array([clip.speech_start_s for clip in clips]) - EARLY_S
    return np.maximum(0, np.ceil(starts_s / hop_s - 1)).astype(np.int64)  # frame t ends at (t + 1) * hop_s


@dataclass(frozen=True, slots=True)
class _Part:
    """Positive clips to be judged together."""

    field: str
    value: str
    track: Track
    members: np.ndarray
    """(clips,) their indices in the track."""
    first: np.ndarray
    """(all clips of the track,) frame before which a detection is no hit."""
    ends_s: np.ndarray
    """(all clips of the track,) ends of the phrase."""

    def judge(self, threshold: float) -> GroupResult:
        """Count misses at a threshold."""
        events = hits(self.track.fire(threshold), self.first)
        mine = np.isin(events.owners, self.members)
        events = Events(events.owners[mine], events.frames[mine], events.scores[mine])
        missed = len(self.members) - np.unique(events.owners).size
        return GroupResult(
            self.field,
            self.value,
            proportion(missed, len(self.members)),
            latency(events, self.ends_s, self.track.hop_s),
        )

    def curve(self, everyone: Sweep) -> tuple[DetPoint, ...]:
        """Return the DET curve of these clips, at the thresholds and false accepts of another sweep."""
        missed = np.array([self.judge(float(threshold)).misses.events for threshold in everyone.thresholds])
        return tuple(replace(everyone, num_missed=missed, num_positives=len(self.members)).points())


def _parts(
    clips: Sequence[ScoredClip],
    changed: Sequence[tuple[str, list[ScoredClip]]],
    column: int,
    config: DecisionConfig,
    hop_s: float,
) -> list[_Part]:
    """Divide the clips: all, by each field that a manifest fills, and each condition that was made."""
    first, ends_s = first_frames(clips, hop_s), np.array([clip.speech_end_s for clip in clips])
    own = pack([clip.scores[:, column] for clip in clips], config, hop_s)
    everyone = np.arange(len(clips))
    parts = [_Part("all", "as recorded", own, everyone, first, ends_s)]
    for name in GROUP_FIELDS:
        values = [group_value(clip.utterance, name) for clip in clips]
        for value in sorted({value for value in values if value is not None}):
            members = np.array([index for index, each in enumerate(values) if each == value])
            parts.append(_Part(name, value, own, members, first, ends_s))
    for name, version in changed:
        other = pack([clip.scores[:, column] for clip in version], config, hop_s)
        parts.append(_Part(CONDITION, name, other, everyone, first, ends_s))
    return parts


def _evaluate_keyword(
    scorer: Scorer,
    keyword: str,
    clips: Sequence[ScoredClip],
    changed: Sequence[tuple[str, list[ScoredClip]]],
    stream: Sequence[ScoredClip],
    false_accepts_per_hour: Sequence[float],
) -> KeywordResult:
    column, config, hop_s = scorer.keywords.index(keyword), scorer.decision_config, scorer.hop_s
    negatives = [np.concatenate([clip.scores[:, column] for clip in stream])]
    negative_hours = hours(stream)
    stored = config.thresholds[column]
    parts = _parts(clips, changed, column, config, hop_s)

    def judge(name: str, target: float | None, threshold: float, note: str | None) -> OperatingResult:
        everyone, *groups = (part.judge(threshold) for part in parts)
        accepts = hourly_rate(
            pack(negatives, config, hop_s, threshold).fire(threshold).frames.size, negative_hours
        )
        return OperatingResult(
            name, target, threshold, everyone.misses, accepts, everyone.latency, tuple(groups), note
        )

    choices = [
        choose_threshold(negatives, negative_hours, rate, config, hop_s) for rate in false_accepts_per_hour
    ]
    operating = [judge(STORED, None, stored, None)]
    operating += [
        judge(
            f"{number(choice.target_per_hour)} per hour",
            choice.target_per_hour,
            choice.threshold,
            choice.reason,
        )
        for choice in choices
    ]
    curve = sweep(
        [clip.scores[:, column] for clip in clips],
        negatives,
        negative_hours,
        config,
        hop_s,
        first_frames=first_frames(clips, hop_s),
        include=[choice.threshold for choice in choices],
    )
    utterances = [clip.utterance for clip in clips]
    hard, shown = examples.hardest(stream, column, config, scorer.hop_samples, stored)
    return KeywordResult(
        keyword=keyword,
        stored_threshold=stored,
        num_positives=len(clips),
        num_positive_originals=num_originals(utterances),
        num_speakers=len({entry.speaker for entry in utterances if entry.speaker}),
        operating=tuple(operating),
        det=tuple(curve.points()),
        hardest_negatives=tuple(hard),
        examples=(
            *examples.from_positives(clips, column, config, hop_s, stored, first_frames(clips, hop_s)),
            *shown,
        ),
        det_by_condition={
            part.value: part.curve(curve) for part in parts if part.field == CONDITION and len(part.members)
        },
    )


def _describe(model: Path, scorer: Scorer) -> dict[str, Any]:
    """Collect what a number must carry to be made again."""
    exported = exported_file(model)
    values: dict[str, Any] = {"kws": __version__, "machine": f"{platform.machine()}, one thread"}
    if exported is not None and isinstance(scorer, Detector):
        values["model_file"] = str(exported)
        values["model_sha256"] = hashlib.sha256(exported.read_bytes()).hexdigest()
        values["config_hash"] = scorer.metadata.get("config_hash", "unknown")
        values["thresholds_chosen_for_per_hour"] = scorer.metadata.get("false_accepts_per_hour", "unknown")
    else:
        stored = read_yaml(model / "config.yaml")
        values["model_file"] = str(model / "weights.safetensors")
        values["model_sha256"] = hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest()
        values["config_hash"] = config_hash(stored)
        values["thresholds_chosen_for_per_hour"] = str(stored["operating_point"]["false_accepts_per_hour"])
    values["smoothing_frames"] = scorer.decision_config.smoothing_frames
    values["refractory_s"] = scorer.decision_config.refractory_s
    values["sample_rate"] = SAMPLE_RATE
    return values
