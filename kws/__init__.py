"""Wake-word detection by transfer from a pretrained speech recogniser; the public names.

Importing the package is light and has no side effects: each name is loaded from its module when it is first
used, so that a device, which has no torch, pays for the detector only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kws.errors import DependencyError

if TYPE_CHECKING:
    from kws.checkpoint import load_model
    from kws.decisions import DecisionConfig, Detection, decide
    from kws.detector import Detector
    from kws.listening import listen
    from kws.micro_detector import MicroDetector
    from kws.pool import DetectorPool
    from kws.version import __version__ as __version__
    from kws.workflows.bench import bench
    from kws.workflows.doctor import doctor
    from kws.workflows.enroll import enroll
    from kws.workflows.evaluate import evaluate
    from kws.workflows.export import export
    from kws.workflows.microcontroller import export_microwakeword
    from kws.workflows.prepare import prepare, synthesize
    from kws.workflows.pretrain import pretrain
    from kws.workflows.probe import probe
    from kws.workflows.public_data import check_data, fetch_data, list_data
    from kws.workflows.quickstart import quickstart
    from kws.workflows.record import record
    from kws.workflows.score import score
    from kws.workflows.study import study
    from kws.workflows.train import train
    from kws.workflows.tune import tune
    from kws.workflows.voices import fetch_voices, say, voices
    from kws.workflows.web import web

_LAZY = {
    "DecisionConfig": "kws.decisions",
    "Detection": "kws.decisions",
    "Detector": "kws.detector",
    "DetectorPool": "kws.pool",
    "MicroDetector": "kws.micro_detector",
    "bench": "kws.workflows.bench",
    "check_data": "kws.workflows.public_data",
    "decide": "kws.decisions",
    "doctor": "kws.workflows.doctor",
    "enroll": "kws.workflows.enroll",
    "evaluate": "kws.workflows.evaluate",
    "export": "kws.workflows.export",
    "export_microwakeword": "kws.workflows.microcontroller",
    "fetch_data": "kws.workflows.public_data",
    "fetch_voices": "kws.workflows.voices",
    "list_data": "kws.workflows.public_data",
    "listen": "kws.listening",
    "load_model": "kws.checkpoint",
    "prepare": "kws.workflows.prepare",
    "pretrain": "kws.workflows.pretrain",
    "probe": "kws.workflows.probe",
    "quickstart": "kws.workflows.quickstart",
    "record": "kws.workflows.record",
    "say": "kws.workflows.voices",
    "score": "kws.workflows.score",
    "study": "kws.workflows.study",
    "synthesize": "kws.workflows.prepare",
    "train": "kws.workflows.train",
    "tune": "kws.workflows.tune",
    "voices": "kws.workflows.voices",
    "web": "kws.workflows.web",
}
"""Public name -> module that defines it. No module of the package has the name of a function: it would take
the place of the function once it is imported."""

__all__ = [
    "DecisionConfig",
    "Detection",
    "Detector",
    "DetectorPool",
    "MicroDetector",
    "bench",
    "check_data",
    "decide",
    "doctor",
    "enroll",
    "evaluate",
    "export",
    "export_microwakeword",
    "fetch_data",
    "fetch_voices",
    "list_data",
    "listen",
    "load_model",
    "prepare",
    "pretrain",
    "probe",
    "quickstart",
    "record",
    "say",
    "score",
    "study",
    "synthesize",
    "train",
    "tune",
    "voices",
    "web",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name == "__version__":
        from kws.version import __version__

        return __version__
    if name not in _LAZY:
        raise AttributeError(f"module 'kws' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_LAZY[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "kws":
            raise
        raise DependencyError(
            f'kws.{name} needs {error.name}, which is not installed: `pip install "kws[train]"`'
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
