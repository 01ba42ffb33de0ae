"""Whether an exported file is sound, and what is unusual about it; ``kws doctor``, which needs no torch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from kws.detector import Detector

HEARD_S = 10.0
"""Length of each sound that the file hears, in seconds."""

HIGH, LOW = 0.999, 0.05
"""Thresholds beyond these are unusual: scores seldom tell so finely there."""

SATURATED_SHARE = 0.5
"""Of the frames of speech-like sound whose score is 0 or 1 to the last bit."""

BUSY_S_PER_HOUR = 360.0
"""Processor time for an hour of audio above which a small board is busy: a tenth of a core."""


@dataclass(frozen=True)
class DoctorReport:
    """What was found.

    Attributes:
        facts: the manifest of the file, see :func:`kws.model_manifest.manifest`.
        cpu_s_per_hour: processor time for an hour of audio on this machine, a chunk at a time.
        operating: keyword -> rows of an evaluation that lies beside the file: name, threshold, share missed,
            false accepts per hour.
        problems: what makes the file unfit.
        notes: what is unusual.
    """

    facts: dict[str, Any]
    cpu_s_per_hour: float
    operating: dict[str, list[dict[str, Any]]]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing makes the file unfit."""
        return not self.problems


def doctor(model: Path) -> DoctorReport:
    """Open an exported file, let it hear silence, noise and speech-like sound, and say what is unusual.

    Args:
        model: an exported ``.onnx``, or the folder of a run that holds one.
    Raises:
        CheckpointError: it does not open, or does not follow the format.
    """
    from export import signals
    from kws.detector import Detector
    from kws.exported import model_file
    from kws.model_manifest import manifest

    path = model_file(model)
    detector = Detector(path)
    sounds = {
        "digital silence": signals.noise(HEARD_S, 0.0),
        "loud noise": signals.noise(HEARD_S, 0.3),
        "sound like speech": signals.speech_like(HEARD_S),
    }
    problems, speech, cpu_s = [], None, 0.0
    for name, waveform in sounds.items():
        began = time.process_time()
        scores, detections = _heard(detector, waveform)
        cpu_s = time.process_time() - began
        fired = sorted({detection.keyword for detection in detections})
        if fired:
            problems.append(f"it hears {', '.join(fired)} in {name}: raise the threshold, or train again")
        speech = scores
    assert speech is not None
    facts = manifest(path)
    return DoctorReport(
        facts=facts,
        cpu_s_per_hour=cpu_s / HEARD_S * 3600,
        operating=_operating(path),
        problems=tuple(problems),
        notes=tuple(_notes(facts, detector, speech, cpu_s / HEARD_S * 3600)),
    )


def _heard(detector: Detector, waveform: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Push a sound chunk by chunk, as a device does."""
    import numpy as np

    detector.reset()
    chunk, scores, detections = detector.chunk_samples, [], []
    for start in range(0, len(waveform), chunk):
        found, heard = detector.push(waveform[start : start + chunk])
        scores.append(found)
        detections += heard
    return np.concatenate(scores), detections


def _notes(facts: dict[str, Any], detector: Detector, speech: np.ndarray, cpu_s: float) -> Iterator[str]:
    """Yield what is unusual."""
    for keyword, threshold in facts["thresholds"].items():
        if not LOW <= threshold <= HIGH:
            yield f"the threshold of {keyword} is {threshold:.5f}: scores seldom tell so finely there"
    floored = json.loads(detector.metadata.get("floored", "[]"))
    if floored:
        yield (
            f"the threshold of {', '.join(floored)} is a floor: too little other speech was given to show "
            "the rate of false accepts"
        )
    share = float(((speech == 0) | (speech == 1)).mean())
    if share > SATURATED_SHARE:
        yield f"{share:.0%} of the scores of speech-like sound are 0 or 1: thresholds tell little"
    if facts["format_version"] == "1":
        yield "it was exported by an earlier version and takes one stream only: export the run again"
    if facts["false_accepts_per_hour"] is None:
        yield "its threshold was given by hand: no rate of false accepts is known"
    if facts["license"] in ("", "unknown"):
        yield "the license of its weights is not known"
    if cpu_s > BUSY_S_PER_HOUR:
        yield f"it takes {cpu_s / 36:.0f} % of a core of this machine: too much for a small board"


def _operating(model: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what an evaluation beside the file says; {} where there is none."""
    from kws.workflows.tune import evaluation_of

    try:
        values = json.loads(evaluation_of(model).read_text(encoding="utf-8"))
        return {
            entry["keyword"]: [
                {
                    "name": row["name"],
                    "threshold": row["threshold"],
                    "missed": row["misses"]["events"] / max(row["misses"]["trials"], 1),
                    "false_accepts_per_hour": row["false_accepts"]["events"] / row["false_accepts"]["hours"],
                }
                for row in entry["operating"]
            ]
            for entry in values["keywords"]
        }
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError):
        return {}
