"""Ways to add the keyword loss and the terms beside it, by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kws.config import load_config
from kws.errors import ConfigError
from kws.loss_weighting.base import LossWeighting
from kws.loss_weighting.fixed import FixedWeighting
from kws.loss_weighting.gradnorm import GradNormWeighting
from kws.loss_weighting.uncertainty import UncertaintyWeighting

__all__ = ["LossWeighting", "available_loss_weightings", "build_loss_weighting"]

_LOSS_WEIGHTINGS: dict[str, type[LossWeighting]] = {
    "fixed": FixedWeighting,
    "gradnorm": GradNormWeighting,
    "uncertainty": UncertaintyWeighting,
}


def available_loss_weightings() -> list[str]:
    """Return the names that :func:`build_balance` knows."""
    return sorted(_LOSS_WEIGHTINGS)


def build_loss_weighting(
    name: str, weights: Mapping[str, float], options: Mapping[str, Any] | None = None
) -> LossWeighting:
    """Return a way to add losses.

    Args:
        name: one of :func:`available_loss_weightings`.
        weights: of each loss by name, from the recipe; the keyword loss has 1.
        options: its settings, where they differ from the defaults.
    Raises:
        ConfigError: the name or a setting is unknown, or a value is out of range.
    """
    if name not in _LOSS_WEIGHTINGS:
        known = ", ".join(available_loss_weightings())
        raise ConfigError(f"train.loss_weighting: got {name!r}, allowed: {known}")
    weighting = _LOSS_WEIGHTINGS[name]
    return weighting(weights, load_config(weighting.Options, options or {}, "train.loss_weighting_options"))
