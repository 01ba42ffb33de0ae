"""Evaluates a keyword model on recordings: misses, false accepts and latency, by condition and group.

``kws eval`` calls :func:`evaluate`; so does anything that compares models. What is counted how says
:class:`kws.evaluation.protocol.TestProtocol`.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.config import config_hash, read_yaml
from kws.detector import Detector
from kws.errors import ConfigError, ManifestError
from kws.evaluation import examples
from kws.evaluation.heard import HeardAudio
from kws.evaluation.intervals import hourly_rate, number
from kws.evaluation.metrics import ThresholdChoice, choose_threshold, pack, sweep
from kws.evaluation.misses import keeps_to_rate
from kws.evaluation.parts import CONDITION, by_speaker, divide, heard_clips
from kws.evaluation.protocol import CLEAN, TestProtocol
from kws.evaluation.result import EvaluationResult, KeywordResult, OperatingResult
from kws.evaluation.scoring import (
    ScoredClip,
    Scorer,
    exported_file,
    hours,
    open_scorer,
    score_clips,
    score_stream,
)
from kws.manifest import Recording
from kws.text import is_said, normalize
from kws.version import __version__

FALSE_ACCEPTS_PER_HOUR = (0.1, 0.5, 1.0)
"""Rates that are reported."""

STORED = "stored threshold"


def evaluate(
    model: Path,
    positives: Sequence[Recording],
    negatives: Sequence[Recording],
    output: Path | None = None,
    *,
    heard: HeardAudio | None = None,
    copies_of: Callable[[Sequence[Recording]], Callable[[Recording], bool]] | None = None,
    trained_on: Callable[[Recording], bool] | None = None,
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
        heard: makes the audio of the test by its protocol; None hears clips as they are by the default one.
        copies_of: makes of recordings what tells copies of them, which are left out of the negatives.
        trained_on: tells recordings that the model was trained on; None where that is unknown.
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
    heard = heard or HeardAudio(TestProtocol(conditions={CLEAN: {}}))
    recordings = [*kept, *heard.noise]
    stream = score_stream(scorer, heard.stream(kept), len(recordings), progress=progress)
    results = []
    for name in keywords:
        versions = [
            (
                condition,
                score_clips(
                    scorer,
                    (heard.clip(utterance, condition) for utterance in wanted[name]),
                    len(wanted[name]),
                    progress=progress,
                    description=f"{name}, {condition}",
                ),
            )
            for condition in heard.protocol.conditions
        ]
        found = _evaluate_keyword(scorer, name, versions, stream, false_accepts_per_hour, heard.protocol)
        results.append(replace(found, num_trained_on=_count(wanted[name], trained_on)))
    result = EvaluationResult(
        model=str(model),
        keywords=tuple(results),
        negative_hours=hours(stream),
        original_hours=hours([clip for clip in stream if not clip.is_copy]),
        num_negatives=len(recordings),
        num_negative_originals=num_originals(recordings),
        num_negative_speakers=len({entry.speaker for entry in kept if entry.speaker}),
        num_left_out=len(negatives) - len(other),
        num_copies_left_out=len(other) - len(kept),
        num_negatives_trained_on=_count(kept, trained_on),
        protocol=heard.protocol,
        provenance={**_describe(model, scorer), **(provenance or {}), "protocol": heard.protocol.told()},
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


def _evaluate_keyword(
    scorer: Scorer,
    keyword: str,
    versions: Sequence[tuple[str, list[ScoredClip]]],
    stream: Sequence[ScoredClip],
    false_accepts_per_hour: Sequence[float],
    protocol: TestProtocol,
) -> KeywordResult:
    column, hop_s = scorer.keywords.index(keyword), scorer.hop_s
    config = protocol.decided(scorer.decision_config)
    negatives = [np.concatenate([clip.scores[:, column] for clip in stream])]
    negative_hours = hours(stream)
    stored = config.thresholds[column]
    clips = versions[0][1]
    parts = divide(versions, column, config, hop_s, protocol)

    def judge(name: str, threshold: float, choice: ThresholdChoice | None = None) -> OperatingResult:
        kept = choice is None or keeps_to_rate(choice)
        everyone, *groups = (part.judge(threshold if kept else None) for part in parts)
        events = pack(negatives, config, hop_s, threshold).fire(threshold).frames.size
        return OperatingResult(
            name,
            None if choice is None else choice.target_per_hour,
            threshold,
            everyone.misses,
            hourly_rate(events, negative_hours),
            everyone.latency,
            tuple(groups),
            None if kept or choice is None else f"{choice.reason}; all clips count as missed",
            by_speaker(parts[0], clips, threshold if kept else None),
        )

    choices = [
        choose_threshold(negatives, negative_hours, rate, config, hop_s) for rate in false_accepts_per_hour
    ]
    operating = [judge(STORED, stored)]
    operating += [judge(f"{number(c.target_per_hour)} per hour", c.threshold, c) for c in choices]
    heard = heard_clips(clips, column, protocol)
    curve = sweep(
        heard.scores,
        negatives,
        negative_hours,
        config,
        hop_s,
        first_frames=heard.first_frames(hop_s),
        include=[choice.threshold for choice in choices],
    )
    utterances = [clip.utterance for clip in clips]
    originals = [clip for clip in stream if not clip.is_copy]
    hard, shown = examples.hardest(originals, column, config, scorer.hop_samples, stored)
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
            *examples.from_positives(clips, column, config, hop_s, stored, heard.first_frames(hop_s)),
            *shown,
        ),
        det_by_condition={
            part.value: part.curve(curve) for part in parts if part.field == CONDITION and len(part.members)
        },
        condition=versions[0][0],
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
        from kws.checkpoint import load_operating_point

        stored = read_yaml(model / "config.yaml")
        values["model_file"] = str(model / "weights.safetensors")
        values["model_sha256"] = hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest()
        values["config_hash"] = config_hash(stored)
        decision = load_operating_point(model).decision
        values["thresholds_chosen_for_per_hour"] = str(decision.false_accepts_per_hour)
    values["smoothing_frames"] = scorer.decision_config.smoothing_frames
    values["refractory_s"] = scorer.decision_config.refractory_s
    values["sample_rate"] = SAMPLE_RATE
    return values
