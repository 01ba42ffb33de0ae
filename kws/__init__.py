"""Wake-word detection by transfer from a pretrained speech recogniser; the public names.

Importing the package is light and has no side effects: each name is loaded from its module when it is first
used, so that a device, which has no torch, pays for the detector only.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from kws.errors import DependencyError

if TYPE_CHECKING:
    from kws.decisions import DecisionConfig, Detection, decide
    from kws.detector import Detector

_LAZY = {
    "DecisionConfig": "kws.decisions",
    "Detection": "kws.decisions",
    "Detector": "kws.detector",
    "decide": "kws.decisions",
}
"""Public name -> module that defines it."""

__all__ = ["DecisionConfig", "Detection", "Detector", "decide"]

UNKNOWN_VERSION = "0+unknown"
"""Version of a checkout that is not installed."""

try:
    __version__ = metadata.version("kws")
except metadata.PackageNotFoundError:
    __version__ = UNKNOWN_VERSION


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
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
