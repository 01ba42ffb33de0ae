"""Policies by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable

from kws.errors import ConfigError
from kws.transfer import fixed
from kws.transfer.adapters import Adapters
from kws.transfer.base import Policy
from kws.transfer.gradual import Gradual
from kws.transfer.surgical import Surgical

AUTO = "auto"
"""Not a policy: stands for the one that the number of recordings calls for."""

_POLICIES: dict[str, Callable[[], Policy]] = {
    "head": fixed.HeadOnly,
    "early": fixed.Early,
    "late": fixed.Late,
    "all": fixed.All,
    "discriminative": fixed.Discriminative,
    "gradual": Gradual,
    "surgical": Surgical,
    "adapters": Adapters,
    "scratch": fixed.Scratch,
}


def available_policies() -> list[str]:
    """Return the names that :func:`build_policy` knows."""
    return list(_POLICIES)


def check_policy(name: str) -> None:
    """Check the name of a policy, or ``auto``.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in (*_POLICIES, AUTO):
        raise ConfigError(f"train.transfer.policy: got {name!r}, allowed: {', '.join((*_POLICIES, AUTO))}")


def build_policy(name: str) -> Policy:
    """Return a policy.

    Raises:
        ConfigError: the name is unknown, or ``auto``.
    """
    if name == AUTO:
        raise ConfigError("policy `auto` must be resolved first, with TrainConfig.resolved")
    check_policy(name)
    return _POLICIES[name]()
