"""What `auto` takes for how many recordings: a table that `kws study` writes, not taste."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kws.config import load_config, read_yaml
from kws.errors import ConfigError
from kws.regularizers import check_weights, need_source_alone
from kws.transfer.registry import AUTO, build_policy

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "auto.yaml"
"""The table that is used where no other is given."""


def describe(policy: str, regularizers: Mapping[str, float]) -> str:
    """Return a policy and what is added to it in words, such as ``all with feature_matching 1``."""
    terms = " and ".join(f"{name} {weight:g}" for name, weight in regularizers.items())
    return f"{policy} with {terms}" if terms else policy


@dataclass(frozen=True, slots=True)
class AutoStep:
    """A policy, what is added to it, and from when on both are taken."""

    recordings: int
    """Fewest recordings."""
    policy: str
    """The policy from so many on, up to the next step."""
    regularizers: dict[str, float] = field(default_factory=dict)
    """Terms beside the loss and their weights, of those that need the borrowed layers alone: they do for any
    encoder and any data."""

    def __post_init__(self) -> None:
        if self.policy == AUTO:
            raise ConfigError(f"policies: {AUTO} cannot stand for itself; name another policy")
        build_policy(self.policy)
        check_weights(self.regularizers, "policies: regularizers")
        if not need_source_alone(self.regularizers):
            raise ConfigError(
                f"policies: regularizers: got {', '.join(self.regularizers)}, allowed: those that need the "
                "borrowed layers alone, such as feature_matching"
            )

    def __str__(self) -> str:
        """Return the policy and what is added to it in words."""
        return describe(self.policy, self.regularizers)


@dataclass(frozen=True, slots=True)
class AutoTable:
    """What ``auto`` stands for."""

    policies: tuple[AutoStep, ...]
    """From few recordings to many; the first from 0."""
    source: str
    """Where the numbers come from."""
    rule: str = ""
    """How they were chosen."""

    def __post_init__(self) -> None:
        numbers = [step.recordings for step in self.policies]
        if not numbers or numbers[0] != 0 or numbers != sorted(set(numbers)):
            raise ConfigError(
                f"policies: recordings are {', '.join(map(str, numbers)) or 'none'}, allowed: rising, from 0"
            )

    def choose(self, num_recordings: int) -> tuple[AutoStep, str]:
        """Return the step for so many recordings, and why."""
        index = max(n for n, step in enumerate(self.policies) if step.recordings <= num_recordings)
        step, later = self.policies[index], self.policies[index + 1 : index + 2]
        given = f"{num_recordings or 'no'} recordings"
        bounds = [f"at least {step.recordings}"] if index else []
        bounds += [f"fewer than {entry.recordings}" for entry in later]
        return step, f"{given} are {' and '.join(bounds)} ({self.source})" if bounds else self.source


def load_auto(path: Path | None = None) -> AutoTable:
    """Read a table, such as the ``recommendation.yaml`` of a study.

    Args:
        path: None takes the one that ships.
    Raises:
        ConfigError: the file cannot be read, or a key or value is unknown.
    """
    path = path or SHIPPED
    return load_config(AutoTable, read_yaml(path), str(path))
