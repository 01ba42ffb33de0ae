"""What a page is told of a project, as plain values."""

from __future__ import annotations

import math
from typing import Any

from kws.config import to_dict
from kws.studio.jobs import Jobs, JobState
from kws.workflows.project.exporting import exported_model
from kws.workflows.project.folder import Project, ProjectTake
from kws.workflows.project.report import FEW_TAKES, read_report
from kws.workflows.project.sensitivity import read_sensitivity
from kws.workflows.project.training import (
    HELD_OUT_FROM,
    LEAST_SPEECH_S,
    SPEECH_S,
    TRAINED_FROM,
    plan_training,
)
from kws.workflows.reading import FREE, reading_s, sentences

WANTED_TAKES = 12
"""Recordings of the keyword that a page asks for."""


def project_state(project: Project, jobs: Jobs) -> dict[str, Any]:
    """Return everything that the page of a project shows, but what takes long to find."""
    settings, model = project.settings(), project.model
    report, curve = read_report(project), read_sensitivity(project)
    return {
        "name": project.folder.name,
        "folder": str(project.folder),
        "keyword": settings.keyword,
        "language": settings.language,
        "lexicon": settings.lexicon,
        "false_accepts_per_hour": settings.false_accepts_per_hour,
        "threshold": settings.threshold,
        "takes": [take_state(take) for take in project.takes()],
        "plan": to_dict(plan_training(project)),
        "limits": {
            "wanted_takes": WANTED_TAKES,
            "trained_from": TRAINED_FROM,
            "speech_s": SPEECH_S,
            "least_speech_s": LEAST_SPEECH_S,
            "held_out_from": HELD_OUT_FROM,
            "few_takes": FEW_TAKES,
        },
        "job": job_state(jobs.state(project)),
        "model": None if model is None else {"bytes": model.stat().st_size, "folder": str(project.run)},
        "exported": str(exported_model(project)),
        "report": None if report is None else _finite(to_dict(report)),
        "sensitivity": None if curve is None else to_dict(curve),
        "reading": [
            {"text": "" if text == FREE else text, "seconds": reading_s(text)}
            for text in sentences(settings.keyword, settings.language)
        ],
    }


def take_state(take: ProjectTake) -> dict[str, Any]:
    """Return one recording."""
    return to_dict(take)


def job_state(state: JobState) -> dict[str, Any]:
    """Return a job without what is of the machine."""
    values = to_dict(state)
    del values["pid"]
    return values


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with None for what JSON cannot hold."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
