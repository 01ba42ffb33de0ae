"""Detection losses by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from kws.config import load_config
from kws.errors import ConfigError
from kws.losses.focal import FocalLoss
from kws.losses.max_pooling import MaxPoolingLoss, max_pooling_loss
from kws.structs import Batch

__all__ = ["DetectionLoss", "available_losses", "build_loss", "max_pooling_loss"]

DetectionLoss = Callable[[Tensor, Batch], Tensor]
"""``loss(logits, batch) -> scalar`` with logits (batch, time, keyword)."""

_LOSSES: dict[str, type[Any]] = {
    "focal": FocalLoss,
    "max_pooling": MaxPoolingLoss,
}
"""Dataclasses, whose fields are the settings."""


def available_losses() -> list[str]:
    """Return the names that :func:`build_loss` knows."""
    return sorted(_LOSSES)


def build_loss(name: str, options: Mapping[str, Any] | None = None) -> DetectionLoss:
    """Return a detection loss.

    Args:
        name: one of :func:`available_losses`.
        options: its settings, where they differ from the defaults.
    Raises:
        ConfigError: the name or a setting is unknown, or a value is out of range.
    """
    if name not in _LOSSES:
        raise ConfigError(f"train.loss: got {name!r}, allowed: {', '.join(available_losses())}")
    loss: DetectionLoss = load_config(_LOSSES[name], options or {}, "train.loss_options")
    return loss
