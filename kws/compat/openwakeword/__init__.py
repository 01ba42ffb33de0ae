"""The names of the package ``openwakeword`` over detectors of kws: a program switches by its imports.

``from openwakeword.model import Model`` becomes ``from kws.compat.openwakeword.model import Model``, or
``import openwakeword`` becomes ``import kws.compat.openwakeword as openwakeword``; the model files are
exported files of kws. Source of the calls and their meaning: openWakeWord 0.6, https://github.com/dscripka/openWakeWord.
"""

from __future__ import annotations

from kws.compat.openwakeword import utils as utils
from kws.compat.openwakeword.model import Model

__all__ = ["MODELS", "Model", "get_pretrained_model_paths"]

MODELS: dict[str, dict[str, str]] = {}
"""Ready models by name: there are none, a keyword is trained or typed."""


def get_pretrained_model_paths(inference_framework: str = "onnx") -> list[str]:
    """Return the paths of ready models: none."""
    return []
