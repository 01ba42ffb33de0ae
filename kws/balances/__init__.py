"""Ways to add the keyword loss and the terms beside it, by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kws.balances.base import Balance
from kws.balances.fixed import FixedBalance
from kws.errors import ConfigError

__all__ = ["Balance", "available_balances", "build_balance"]

_BALANCES: dict[str, Callable[[Mapping[str, float]], Balance]] = {
    "fixed": FixedBalance,
}


def available_balances() -> list[str]:
    """Return the names that :func:`build_balance` knows."""
    return sorted(_BALANCES)


def build_balance(name: str, weights: Mapping[str, float]) -> Balance:
    """Return a way to add losses.

    Args:
        name: one of :func:`available_balances`.
        weights: of each loss by name, from the recipe; the keyword loss has 1.
    Raises:
        ConfigError: the name is unknown.
    """
    if name not in _BALANCES:
        raise ConfigError(f"train.balance: got {name!r}, allowed: {', '.join(available_balances())}")
    return _BALANCES[name](weights)
