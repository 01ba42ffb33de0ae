"""How often a project's model fires where nobody said the keyword, for each threshold; from the training."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kws.workflows.project.folder import Project


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """False accepts over thresholds.

    Attributes:
        thresholds: ascending.
        events: false accepts at each of them.
        hours: of audio without the keyword that they were counted in.
        source: ``shipped`` where that is speech of the package, ``own`` where it is held-out speech of the
            project, with copies in noise and rooms.
        chosen: threshold that training chose.
    """

    thresholds: list[float]
    events: list[int]
    hours: float
    source: str
    chosen: float


def read_sensitivity(project: Project) -> Sensitivity | None:
    """Return what the run of a project stored; None before training, or from a run of an earlier version."""
    path = project.run / "metrics.json"
    if project.model is None or not path.is_file():
        return None
    metrics = json.loads(path.read_text(encoding="utf-8"))
    keyword = project.settings().keyword
    counts = metrics.get("false_accepts", {}).get(keyword)
    if not counts:
        return None
    return Sensitivity(
        [float(threshold) for threshold, _ in counts],
        [int(events) for _, events in counts],
        float(metrics["dev_hours"]),
        "own" if metrics.get("dev_copies") else "shipped",
        float(metrics["thresholds"][keyword]),
    )
