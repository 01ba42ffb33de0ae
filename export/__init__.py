"""Trained checkpoint to checked artefact: one ``.onnx`` file, its int8 form, their parity and their speed.

Importing the package is light; each name is loaded from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.benchmark import bench
    from export.quantize import to_int8
    from export.to_onnx import export, export_model
    from export.verify import compare

_LAZY = {
    "bench": "export.benchmark",
    "compare": "export.verify",
    "export": "export.to_onnx",
    "export_model": "export.to_onnx",
    "to_int8": "export.quantize",
}
"""Public name -> module that defines it."""

__all__ = ["bench", "compare", "export", "export_model", "to_int8"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'export' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
