"""What programs call of ``openwakeword.utils``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger(__name__)


def download_models(model_names: Sequence[str] = (), target_directory: str = "") -> None:
    """Fetch nothing: an exported file holds all that it needs."""
    logger.info("nothing is fetched: an exported file of kws holds its front end and its encoder")


def bulk_predict(
    file_paths: Sequence[str],
    wakeword_models: Sequence[str],
    prediction_function: str = "predict_clip",
    ncpu: int = 1,
    inference_framework: str = "onnx",
    **kwargs: Any,
) -> dict[str, list[dict[str, Any]]]:
    """Return path -> what ``predict_clip`` returns for each file, one after the other.

    Args:
        file_paths: WAV files of 16-bit mono samples at 16 kHz.
        wakeword_models: exported files.
        prediction_function: ``predict_clip`` alone.
        ncpu: taken and not used; ``kws score`` uses several cores.
        inference_framework: taken and not used.
        kwargs: further arguments of ``predict_clip``.
    """
    from kws.compat.openwakeword.model import Model
    from kws.errors import ConfigError

    if prediction_function != "predict_clip":
        raise ConfigError(f"prediction_function: got {prediction_function!r}, allowed: predict_clip")
    model, found = Model(list(wakeword_models)), {}
    for path in file_paths:
        model.reset()
        found[path] = model.predict_clip(path, **kwargs)
    return found
