"""What a project's model misses and what it fires on, measured on recordings that were held out.

The report of ``kws eval`` lies in the project too; beside it this module writes what a page shows of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kws import audio
from kws.config import load_config, to_dict
from kws.errors import ConfigError
from kws.workflows.project.folder import Project
from kws.workflows.project.training import NEGATIVES, POSITIVES

if TYPE_CHECKING:
    from kws.evaluation.result import EvaluationResult, KeywordResult

SUMMARY, CURVE = "summary.json", "det.png"
TESTED = {POSITIVES: "tested-positives.jsonl", NEGATIVES: "tested-negatives.jsonl"}
"""Manifest of a training -> that of what is tested of it."""
FEW_TAKES = 30
"""With fewer held-out recordings a miss rate is told as unsure."""


@dataclass(frozen=True, slots=True)
class HeardPlace:
    """A stretch of a recording that was missed, or on which the model fired.

    Attributes:
        name: of the recording, as :class:`kws.workflows.project.folder.ProjectTake` has it.
        start_s: where the stretch begins, in seconds.
        score: the highest in it.
    """

    name: str
    start_s: float
    score: float


@dataclass(frozen=True, slots=True)
class ProjectReport:
    """What was measured.

    Attributes:
        lacking: what there is too little of to measure anything: `positives`, `negatives`.
        held_out: the recordings of the keyword were not trained on.
        num_clips: recordings of the keyword that were tested.
        num_missed: of them.
        miss_low: lower end of the 95 % interval of the share that is missed.
        miss_high: its upper end.
        num_false: times that the model fired on other audio.
        hours: of other audio.
        false_high: upper end of the 95 % interval of false accepts per hour.
        threshold: that it was measured at.
        missed: some of what was missed.
        fired_on: the worst false accepts.
        notes: what makes the figures doubtful.
    """

    lacking: tuple[str, ...] = ()
    held_out: bool = False
    num_clips: int = 0
    num_missed: int = 0
    miss_low: float = 0.0
    miss_high: float = 1.0
    num_false: int = 0
    hours: float = 0.0
    false_high: float = 0.0
    threshold: float = 1.0
    missed: tuple[HeardPlace, ...] = ()
    fired_on: tuple[HeardPlace, ...] = ()
    notes: tuple[str, ...] = ()


def measure(project: Project) -> ProjectReport:
    """Measure a project's model on what was held out, or on all where that is too little, and keep it.

    Raises:
        ConfigError: there is no model.
        KwsError: a recording cannot be read.
    """
    if project.model is None:
        raise ConfigError("this project has no model yet; train it first")
    tested = {name: _tested(project, name) for name in TESTED}
    roles = {POSITIVES: "positives", NEGATIVES: "negatives"}
    lacking = tuple(roles[name] for name, held in tested.items() if held is None)
    report = ProjectReport(lacking=lacking)
    if not lacking:
        report = _evaluated(project, held_out=bool(tested[POSITIVES]))
    with audio.atomic_write(project.report / SUMMARY) as temporary:
        temporary.write_text(json.dumps(to_dict(report), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return report


def read_report(project: Project) -> ProjectReport | None:
    """Return what :func:`measure` found last; None before that."""
    path = project.report / SUMMARY
    if not path.is_file() or project.model is None:
        return None
    return load_config(ProjectReport, json.loads(path.read_text(encoding="utf-8")), SUMMARY)


def _tested(project: Project, name: str) -> bool | None:
    """Write the manifest of what is tested: what is held out, else all.

    Returns:
        Whether it is held out; None where there is nothing.
    """
    from data_prep import manifests
    from kws.manifest import read_manifest

    path = project.folder / name
    entries = read_manifest(path, unreadable=[]) if path.is_file() else []  # some may be deleted by now
    if not entries:
        return None
    held = [entry for entry in entries if entry.split == "test"]
    manifests.write(held or entries, project.folder / TESTED[name])
    return bool(held)


def _evaluated(project: Project, *, held_out: bool) -> ProjectReport:
    """Run the evaluation, and keep its curve and what can be listened to."""
    from kws.evaluation.pictures import det_curve
    from kws.workflows.evaluate import evaluate

    assert project.model is not None
    keyword = project.settings().keyword
    found = evaluate(
        project.model,
        [project.folder / TESTED[POSITIVES]],
        [project.folder / TESTED[NEGATIVES]],
        project.report,
        keyword=keyword,
        split="all",
        overwrite=True,
        progress=True,
        command="kws studio",
    )
    (result,) = found.keywords
    with audio.atomic_write(project.report / CURVE) as temporary:
        temporary.write_bytes(det_curve(result))
    return _summary(project, found, result, held_out)


def _summary(
    project: Project, found: EvaluationResult, result: KeywordResult, held_out: bool
) -> ProjectReport:
    stored = result.operating[0]
    return ProjectReport(
        held_out=held_out,
        num_clips=stored.misses.trials,
        num_missed=stored.misses.events,
        miss_low=stored.misses.low,
        miss_high=stored.misses.high,
        num_false=stored.false_accepts.events,
        hours=found.negative_hours,
        false_high=stored.false_accepts.high,
        threshold=result.stored_threshold,
        missed=_places(project, result, "miss"),
        fired_on=_places(project, result, "false accept"),
        notes=tuple([*result.notes(), *found.notes()]),
    )


def _places(project: Project, result: KeywordResult, kind: str) -> tuple[HeardPlace, ...]:
    folder = project.folder.absolute()
    return tuple(
        HeardPlace(
            example.utterance.path.relative_to(folder).as_posix(),
            round(example.utterance.offset_s + max(0.0, example.start_s), 2),
            round(example.peak, 4),
        )
        for example in result.examples
        if example.kind == kind and example.utterance.path.is_relative_to(folder)
    )
