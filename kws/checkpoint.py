"""The folder that ``kws train`` writes and ``kws export`` reads; ``load_model`` opens it.

Weights in safetensors, configuration in YAML, metrics and provenance in JSON: nothing is unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kws.config import load_config, read_yaml, to_dict
from kws.decisions import DecisionSettings
from kws.encoders.registry import build_encoder
from kws.errors import CheckpointError, ConfigError
from kws.model import ModelConfig, WakeWordModel, assemble, with_head_options
from kws.weights import (
    CONFIG,
    METRICS,
    WEIGHTS,
    load_strictly,
    read_weights,
    write_json,
    write_text,
    write_weights,
)

PROVENANCE = "provenance.json"
FLAT = ("false_accepts_per_hour", "smoothing_frames", "refractory_s")
"""Keys that earlier versions wrote beside the thresholds, and that are fields of ``decision``."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How the scores of a trained model become detections."""

    thresholds: dict[str, float]
    """Score at which each keyword fires."""
    decision: DecisionSettings
    """Smoothing, times, and the rate that the thresholds were chosen for, on the dev negatives."""
    dev_hours: float
    """Hours of dev negatives that they were chosen on."""
    floored: tuple[str, ...] = ()
    """Keywords whose thresholds were raised, as the hours are too few to show the rate."""


def save_model(
    folder: Path,
    model: WakeWordModel,
    config: ModelConfig,
    operating_point: OperatingPoint,
    *,
    training: dict[str, Any],
    metrics: dict[str, Any],
    provenance: dict[str, Any],
) -> None:
    """Save a trained keyword model so that :func:`load_model` rebuilds it from the folder alone.

    Args:
        folder: gets ``weights.safetensors``, ``config.yaml`` (``model``, ``encoder_shape``,
            ``operating_point``,
            ``training``), ``metrics.json`` and ``provenance.json``.
        model: trained.
        config: what the model was built from.
        operating_point: thresholds chosen on dev.
        training: the training configuration, as plain values.
        metrics: results on dev.
        provenance: versions, manifest hashes, encoder source and licence.
    """
    write_weights(folder / WEIGHTS, model.state_dict())
    values = {
        "model": to_dict(config),
        "encoder_shape": model.encoder.shape(),
        "operating_point": to_dict(operating_point),
        "training": training,
    }
    write_text(folder / CONFIG, yaml.safe_dump(values, sort_keys=False))
    write_json(folder / PROVENANCE, provenance)
    write_json(folder / METRICS, metrics)  # last: it marks the run as finished


def _model_values(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder}: holds no {CONFIG}; give the output folder of `kws train`")
    values = read_yaml(folder / CONFIG)
    if not {"model", "encoder_shape", "operating_point"} <= set(values):
        raise CheckpointError(
            f"{folder / CONFIG}: is not of a keyword model; give the output folder of `kws train`"
        )
    for name in ("model", "encoder_shape", "operating_point"):
        if not isinstance(values[name], dict):
            raise CheckpointError(
                f"{folder / CONFIG}: {name}: expected keys and values, got {type(values[name]).__name__}; "
                "the file is damaged"
            )
    return values


def load_model_config(folder: str | Path) -> ModelConfig:
    """Load what a trained keyword model is made of; raises as :func:`load_model`."""
    folder = Path(folder)
    values = with_head_options(_model_values(folder)["model"])
    return load_config(ModelConfig, values, f"{folder / CONFIG}: model")


def load_model(folder: str | Path) -> WakeWordModel:
    """Load a trained keyword model, in eval mode.

    Args:
        folder: output of ``kws train``.
    Raises:
        CheckpointError: a file is missing or damaged, or weights and configuration do not fit.
        ConfigError: the configuration holds an unknown key.
    """
    folder = Path(folder)
    values = _model_values(folder)
    config = load_model_config(folder)
    try:
        model = assemble(build_encoder(config.encoder, values["encoder_shape"]), config)
    except ConfigError as error:
        raise ConfigError(f"{folder / CONFIG}: {error}") from error
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:  # sizes that no machine holds
        raise CheckpointError(
            f"{folder / CONFIG}: no model can be built from it ({str(error)[:200]}); the file is damaged"
        ) from error
    load_strictly(model, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return model.eval()


def load_operating_point(folder: str | Path) -> OperatingPoint:
    """Load the thresholds of a trained keyword model; raises as :func:`load_model`."""
    folder = Path(folder)
    values = dict(_model_values(folder)["operating_point"])
    flat = {name: values.pop(name) for name in FLAT if name in values}  # as earlier versions wrote them
    if flat:
        values["decision"] = {**flat, **values.get("decision", {})}
    return load_config(OperatingPoint, values, f"{folder / CONFIG}: operating_point")
