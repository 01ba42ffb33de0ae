"""Which policy `auto` takes for how many recordings: a table that `kws study` writes, not taste."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kws.config import load_config, read_yaml
from kws.errors import ConfigError
from kws.transfer.config import TransferConfig
from kws.transfer.registry import AUTO, build_policy

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "auto.yaml"
"""The table that is used where no other is given."""


@dataclass(frozen=True, slots=True)
class AutoStep:
    """A policy and from when on it is taken."""

    recordings: int
    """Fewest recordings."""
    policy: str
    """The policy from so many on, up to the next step."""


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
        for step in self.policies:
            if step.policy == AUTO:
                raise ConfigError(f"policies: {AUTO} cannot stand for itself; name another policy")
            build_policy(step.policy)

    def choose(self, num_recordings: int) -> tuple[str, str]:
        """Return the policy for so many recordings, and why."""
        index = max(n for n, step in enumerate(self.policies) if step.recordings <= num_recordings)
        step, later = self.policies[index], self.policies[index + 1 : index + 2]
        given = f"{num_recordings or 'no'} recordings"
        bounds = [f"at least {step.recordings}"] if index else []
        bounds += [f"fewer than {entry.recordings}" for entry in later]
        return step.policy, f"{given} are {' and '.join(bounds)} ({self.source})" if bounds else self.source


def load_auto(path: Path | None = None) -> AutoTable:
    """Read a table, such as the ``recommendation.yaml`` of a study.

    Args:
        path: None takes the one that ships.
    Raises:
        ConfigError: the file cannot be read, or a key or value is unknown.
    """
    path = path or SHIPPED
    return load_config(AutoTable, read_yaml(path), str(path))


def choose(config: TransferConfig, num_recordings: int) -> tuple[str, str]:
    """Resolve ``auto``.

    Args:
        config: the wish.
        num_recordings: distinct recordings of the keyword with the fewest.
    Returns:
        The policy to apply and the reason, to be shown to the person.
    Raises:
        ConfigError: the table cannot be read.
    """
    if config.policy != AUTO:
        return config.policy, "asked for"
    return load_auto(config.auto_table).choose(num_recordings)
