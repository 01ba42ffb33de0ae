"""A project's recordings to its model: which road is taken, what is held out, and the run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kws.errors import ConfigError
from kws.manifest import Recording
from kws.workflows import folders, written_files
from kws.workflows.project.folder import Project, ProjectTake, Role

Method = Literal["typed", "trained"]
Stage = Literal["prepare", "train", "export", "measure"]
POSITIVES, NEGATIVES = "trained-positives.jsonl", "trained-negatives.jsonl"
"""Manifests of a training: what is held out for the report has the split `test`."""
HELD_OUT_FROM = 8
"""With fewer recordings of the keyword none is held out: each is worth more in training."""
HELD_OUT_EVERY = 4
"""Each recording of this number is held out."""
NEGATIVES_HELD_OUT_FROM = 8
"""The same for files of other speech."""
TRAINED_FROM = 10
"""Recordings from which on `kws train` missed less than a typed keyword (docs/results/recordings.md)."""
SPEECH_S = 3600.0
"""Other speech with which a training and a threshold can be relied on, in seconds."""
LEAST_SPEECH_S = 30.0
"""Without so much, nothing can be trained on."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a project's recordings are enough for.

    Attributes:
        method: what is recommended: ``typed`` is ``kws enroll``, ``trained`` is ``kws train``.
        can_train: there is enough for ``trained``.
        num_takes: recordings of the keyword that are used.
        num_held_out: of them, for the report.
        speech_s: other speech, in seconds.
        noise_s: noise, in seconds.
    """

    method: Method
    can_train: bool
    num_takes: int
    num_held_out: int
    speech_s: float
    noise_s: float


def plan_training(project: Project) -> TrainingPlan:
    """Return what a project can be trained by."""
    used = [take for take in project.takes() if not take.is_set_aside]
    takes = [take for take in used if take.role == "positives"]
    speech_s = sum(take.length_s for take in used if take.role == "negatives")
    num_negatives = sum(take.role == "negatives" for take in used)
    can_train = len(takes) >= TRAINED_FROM and speech_s >= LEAST_SPEECH_S and num_negatives > 1
    return TrainingPlan(
        "trained" if can_train and speech_s >= SPEECH_S else "typed",
        can_train,
        len(takes),
        sum(_held_out(takes)),
        speech_s,
        sum(take.length_s for take in used if take.role == "noise"),
    )


def train_project(
    project: Project, method: Method, *, resume: bool = False, begin: Callable[[Stage], None] = lambda _: None
) -> list[str]:
    """Train, export and measure the model of a project.

    Args:
        project: which.
        method: ``typed``: :func:`kws.workflows.enroll.enroll`; ``trained``:
            :func:`kws.workflows.train.train`.
        resume: go on with a run that was stopped; else start anew, with all recordings that are there now.
        begin: called as each stage begins.
    Returns:
        Sentences for the person.
    Raises:
        KwsError: the recordings cannot be used.
    """
    from kws.workflows.project.exporting import export_project
    from kws.workflows.project.report import measure

    begin("prepare")
    if not (resume and (project.run / "run.json").is_file()):
        folders.clear(project.run, written_files.RUN)
        folders.clear(project.report, written_files.REPORT)
        project.forget_threshold()
        write_manifests(project, method)
    begin("train")
    notes = _typed(project) if method == "typed" else _trained(project, begin)
    begin("measure")
    measure(project)
    export_project(project)
    return notes


def _typed(project: Project) -> list[str]:
    """Make a model of the typed keyword, and of recordings where there are some."""
    from kws.workflows.enroll import enroll

    settings, plan = project.settings(), plan_training(project)
    made = enroll(
        [settings.keyword],
        project.run,
        recordings=[project.folder / POSITIVES] if plan.num_takes else [],
        method="examples" if plan.num_takes else None,
        language=settings.language,
        lexicon=settings.lexicon or None,
        negatives=[project.folder / NEGATIVES] if plan.speech_s >= SPEECH_S else [],
        noise=[project.folder / "noise"] if plan.num_takes and plan.noise_s else [],
        false_accepts_per_hour=settings.false_accepts_per_hour,
        overrides=settings.overrides.get("enroll", []),
        overwrite=True,
    )
    return list(made.notes)


def _trained(project: Project, begin: Callable[[Stage], None]) -> list[str]:
    """Train a model on the recordings, and export it; a run that was stopped goes on."""
    from kws.workflows.export import export
    from kws.workflows.train import train

    settings, plan = project.settings(), plan_training(project)
    if not plan.can_train:
        raise ConfigError(
            f"{plan.num_takes} recordings of the keyword and {plan.speech_s:.0f} s of other speech: training "
            f"needs {TRAINED_FROM} and {LEAST_SPEECH_S:g} s in two files or more; record them, or take the "
            "typed keyword"
        )
    made = train(
        [settings.keyword],
        [project.folder / POSITIVES],
        [project.folder / NEGATIVES],
        project.run,
        noise=[project.folder / "noise"] if plan.noise_s else [],
        language=settings.language,
        overrides=[
            f"train.decision.false_accepts_per_hour={settings.false_accepts_per_hour:g}",
            *settings.overrides.get("train", []),
        ],
        num_synthetic=settings.num_synthetic,
    )
    begin("export")
    export(project.run)
    return list(made.notes)


def write_manifests(project: Project, method: Method) -> None:
    """Write which recordings are trained on and which are held out for the report.

    Args:
        project: which.
        method: a typed keyword is not trained on other speech, so that all of it can be used for the report,
            unless it is so long that the threshold is chosen on it.
    """
    used = [take for take in project.takes() if not take.is_set_aside]
    takes = [take for take in used if take.role == "positives"]
    speech = [take for take in used if take.role == "negatives"]
    long = sum(take.length_s for take in speech) >= SPEECH_S
    is_trained_on = method == "trained" or long
    held = _held_out(speech, NEGATIVES_HELD_OUT_FROM) if is_trained_on else [True] * len(speech)
    _write(project, POSITIVES, "positives", takes, _held_out(takes))
    _write(project, NEGATIVES, "negatives", speech, held)


def _held_out(takes: Sequence[ProjectTake], least: int = HELD_OUT_FROM) -> list[bool]:
    """Return for each recording whether it is held out; the same ones when others are added behind them."""
    enough = len(takes) >= least
    return [enough and number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 for number in range(len(takes))]


def _write(
    project: Project, name: str, role: Role, takes: Sequence[ProjectTake], held_out: Sequence[bool]
) -> None:
    """Write a manifest; where there are no recordings, remove an earlier one."""
    from data_prep import manifests

    path = project.folder / name
    if not takes:
        path.unlink(missing_ok=True)
        return
    keyword = project.settings().keyword
    entries = [
        Recording(
            path=_absolute(project.folder / take.name),
            label=keyword if role == "positives" else None,
            speaker=take.speaker or None,
            split="test" if held else None,
        )
        for take, held in zip(takes, held_out, strict=True)
    ]
    manifests.write(entries, path)


def _absolute(path: Path) -> Path:
    return path.absolute()
