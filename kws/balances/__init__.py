"""Ways to add the keyword loss and the terms beside it, by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kws.balances.base import Balance
from kws.balances.fixed import FixedBalance
from kws.balances.gradnorm import GradNormBalance
from kws.balances.uncertainty import UncertaintyBalance
from kws.config import load_config
from kws.errors import ConfigError

__all__ = ["Balance", "available_balances", "build_balance"]

_BALANCES: dict[str, type[Balance]] = {
    "fixed": FixedBalance,
    "gradnorm": GradNormBalance,
    "uncertainty": UncertaintyBalance,
}


def available_balances() -> list[str]:
    """Return the names that :func:`build_balance` knows."""
    return sorted(_BALANCES)


def build_balance(
    name: str, weights: Mapping[str, float], options: Mapping[str, Any] | None = None
) -> Balance:
    """Return a way to add losses.

    Args:
        name: one of :func:`available_balances`.
        weights: of each loss by name, from the recipe; the keyword loss has 1.
        options: its settings, where they differ from the defaults.
    Raises:
        ConfigError: the name or a setting is unknown, or a value is out of range.
    """
    if name not in _BALANCES:
        raise ConfigError(f"train.balance: got {name!r}, allowed: {', '.join(available_balances())}")
    balance = _BALANCES[name]
    return balance(weights, load_config(balance.Options, options or {}, "train.balance_options"))
