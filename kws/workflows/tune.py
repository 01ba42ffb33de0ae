"""Another threshold in an exported file; what ``kws tune`` does. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

EARLIER = "earlier_thresholds"
"""Metadata: the thresholds that the file had before, oldest first, each with the rate that it was for."""


@dataclass(frozen=True)
class TuneSummary:
    """What was changed.

    Attributes:
        model: the file that was written.
        before: keyword -> threshold.
        after: keyword -> threshold.
        false_accepts_per_hour: rate that the new ones were chosen for; None where they were given.
    """

    model: Path
    before: dict[str, float]
    after: dict[str, float]
    false_accepts_per_hour: float | None


def tune(
    model: Path,
    output: Path | None = None,
    *,
    threshold: float | Mapping[str, float] | None = None,
    false_accepts_per_hour: float | None = None,
    evaluation: Path | None = None,
) -> TuneSummary:
    """Write another threshold into an exported file; the graph stays as it is, byte by byte.

    Args:
        model: an exported ``.onnx``, or the folder of a run that holds one.
        output: the file to write; None changes ``model``.
        threshold: for all keywords, or keyword -> threshold for some.
        false_accepts_per_hour: in place of ``threshold``: the lowest threshold that kept to this rate on the
            negatives of an evaluation.
        evaluation: ``evaluation.json`` of ``kws eval`` of this file; None looks beside the model.
    Raises:
        CheckpointError: the file is no exported model.
        ConfigError: neither or both are given, a value is out of range, or the evaluation is missing, of
            another model, or of too few hours to show the rate.
    """
    from kws.audio import atomic_write
    from kws.detector import Detector
    from kws.errors import CheckpointError, ConfigError
    from kws.exported import model_file
    from kws.model_manifest import write_manifest
    from kws.onnx_metadata import with_metadata

    if (threshold is None) == (false_accepts_per_hour is None):
        raise ConfigError("give one of `threshold` and `false_accepts_per_hour`")
    model = model_file(model)
    detector = Detector(model)
    if false_accepts_per_hour is not None:
        threshold = _from_evaluation(model, detector.keywords, evaluation, false_accepts_per_hour)
    after = Detector(model, threshold).thresholds  # checks values and keywords
    facts = detector.metadata
    rate = facts.get("false_accepts_per_hour")
    earlier = json.loads(facts.get(EARLIER, "[]"))
    earlier.append({"thresholds": detector.thresholds, "false_accepts_per_hour": rate and float(rate)})
    changed = facts | {
        "thresholds": json.dumps(after, ensure_ascii=False),
        "floored": "[]",
        EARLIER: json.dumps(earlier, ensure_ascii=False),
    }
    if false_accepts_per_hour is not None:
        changed["false_accepts_per_hour"] = str(false_accepts_per_hour)
    else:
        changed.pop("false_accepts_per_hour", None)
    output = model if output is None else output
    try:
        content = with_metadata(model.read_bytes(), changed)
    except ValueError as error:
        raise CheckpointError(f"{model}: is no ONNX file ({error}); export the model again") from error
    with atomic_write(output) as temporary:
        temporary.write_bytes(content)
        _check(temporary, detector, after)
    write_manifest(output)
    return TuneSummary(output, detector.thresholds, after, false_accepts_per_hour)


def _check(written: Path, before: Any, after: dict[str, float]) -> None:
    """Refuse a file that says something else than was wished."""
    from kws.detector import Detector
    from kws.errors import CheckpointError

    found = Detector(written)
    same = {key: value for key, value in found.metadata.items() if key in ("keywords", "chunk_samples")}
    if found.thresholds != after or any(before.metadata[key] != value for key, value in same.items()):
        raise CheckpointError(f"{written}: holds {found.thresholds}, expected {after}; nothing was changed")


def _from_evaluation(
    model: Path, keywords: tuple[str, ...], evaluation: Path | None, rate: float
) -> dict[str, float]:
    """Return the lowest threshold of each keyword that kept to a rate in an evaluation."""
    from kws.errors import ConfigError

    path = evaluation or evaluation_of(model)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        hours = float(values["negative_hours"])
        curves = {entry["keyword"]: entry["det"] for entry in values["keywords"]}
    except OSError as error:
        raise ConfigError(
            f"`evaluation` {path}: cannot be read ({error.strerror}); make it: `kws eval {model} ...`"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"`evaluation` {path}: is no evaluation.json of `kws eval` ({error})") from error
    if rate <= 0 or rate * hours < 1:
        raise ConfigError(
            f"`false_accepts_per_hour`: got {rate:g}; the {hours:.2g} h of negatives of {path} show "
            f"{1 / hours if hours else float('inf'):.2g} or more"
        )
    found = {}
    for keyword in keywords:
        kept = list(takewhile(lambda point: _rate(point) <= rate, curves.get(keyword, [])))
        if not kept:
            raise ConfigError(f"`evaluation` {path}: holds no threshold of {keyword!r} at {rate:g} per hour")
        found[keyword] = float(kept[-1]["threshold"])
    return found


def _rate(point: Mapping[str, Any]) -> float:
    """Return false accepts per hour at a point of a curve, which goes from strict to lenient."""
    counted = point["false_accepts"]
    return float(counted["events"]) / float(counted["hours"])


def evaluation_of(model: Path) -> Path:
    """Return where `kws eval` writes by itself: in the folder of a run, or beside the file."""
    for folder in (model.parent / "evaluation", model.with_name(f"{model.stem}-evaluation")):
        if (folder / "evaluation.json").is_file():
            return folder / "evaluation.json"
    return model.with_name(f"{model.stem}-evaluation") / "evaluation.json"
