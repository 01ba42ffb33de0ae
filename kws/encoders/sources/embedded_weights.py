"""Weights of the embedded encoder: those in the wheel, or a folder that ``kws pretrain`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kws.config import load_config, read_yaml
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.errors import CheckpointError
from kws.weights import (
    CONFIG,
    METRICS,
    WEIGHTS,
    load_strictly,
    read_weights,
    write_config,
    write_json,
    write_weights,
)

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "embedded"
"""Weights and model card that ship with the package."""


def save_recognizer(folder: Path, model: PhoneRecognizer, config: Any, metrics: dict[str, Any]) -> None:
    """Save a pretrained recogniser in half precision and round the model itself to what was saved."""
    halves = {name: tensor.half() for name, tensor in model.state_dict().items()}
    write_weights(folder / WEIGHTS, halves)
    load_strictly(model, halves, folder / WEIGHTS)
    write_config(folder / CONFIG, config)
    write_json(folder / METRICS, metrics)


def load_recognizer(folder: str | Path | None = None) -> PhoneRecognizer:
    """Load the encoder with its phone outputs, in eval mode.

    Args:
        folder: output of ``kws pretrain``; None takes the shipped weights.
    Raises:
        CheckpointError: a file is missing or damaged, or weights and configuration do not fit.
    """
    folder = ASSETS if folder is None else Path(folder)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder}: holds no {CONFIG}; give the output folder of `kws pretrain`")
    values = read_yaml(folder / CONFIG)
    if "encoder" not in values:
        raise CheckpointError(
            f"{folder / CONFIG}: is not of a recogniser; give the output folder of `kws pretrain`"
        )
    config = load_config(EmbeddedConfig, values["encoder"], f"{folder / CONFIG}: encoder")
    encoder = EmbeddedEncoder(config, source="kws pretrain, phone CTC")
    inventories = _inventories(values.get("inventories") or {}, folder / CONFIG)
    model = PhoneRecognizer(encoder, values.get("middle", 1), inventories)
    load_strictly(model, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return model.eval()


def _inventories(values: Any, path: Path) -> dict[str, list[str]]:
    if isinstance(values, dict) and all(
        isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
        for symbols in values.values()
    ):
        return values
    raise CheckpointError(
        f"{path}: inventories: expected a list of phone symbols for each language, got {values!r}; "
        "restore the file, or pretrain again"
    )


def load(folder: Path | None, pretrained: bool) -> EmbeddedEncoder:
    """Loader of the registry; without ``pretrained`` only shape and band statistics are kept."""
    recognizer = load_recognizer(folder)
    encoder = recognizer.encoder
    if not pretrained:
        return encoder.with_random_weights()
    encoder.phone_outputs = {
        recognizer.middle: recognizer.middle_output,
        encoder.info.num_layers: recognizer.output,
    }
    return encoder


def build(shape: Mapping[str, Any]) -> EmbeddedEncoder:
    """Return the architecture of :meth:`EmbeddedEncoder.shape` with random weights."""
    return EmbeddedEncoder(load_config(EmbeddedConfig, shape, "encoder_shape"))
