"""Detection losses by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kws.errors import ConfigError
from kws.losses.max_pooling import max_pooling_loss
from kws.structs import Batch

__all__ = ["DetectionLoss", "available_losses", "build_loss", "max_pooling_loss"]

DetectionLoss = Callable[[Tensor, Batch], Tensor]
"""``loss(logits, batch) -> scalar`` with logits (batch, time, keyword)."""

_LOSSES: dict[str, DetectionLoss] = {
    "max_pooling": max_pooling_loss,
}


def available_losses() -> list[str]:
    """Return the names that :func:`build_loss` knows."""
    return sorted(_LOSSES)


def build_loss(name: str) -> DetectionLoss:
    """Return a detection loss.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in _LOSSES:
        raise ConfigError(f"train.loss: got {name!r}, allowed: {', '.join(available_losses())}")
    return _LOSSES[name]
