"""What a recipe says about transfer, and what ``auto`` makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kws.errors import ConfigError
from kws.transfer.auto import load_auto
from kws.transfer.registry import AUTO, build_policy


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Which parts of the model training may change."""

    policy: str = "auto"
    """head: new layers only; early: also the first encoder layers; late: also the last ones; all: everything;
    discriminative: everything, the lower the slower; scratch: everything, from random weights (the control);
    auto: chosen by the number of recordings."""
    num_layers: int = 3
    """Encoder layers that move under ``early``, ``late`` and ``surgical``."""
    encoder_rate: float = 0.3
    """Learning rate of borrowed layers, as a share of the head's."""
    decay: float = 0.8
    """Under ``discriminative``, each layer's rate as a share of the next higher one's."""
    auto_table: Path | None = None
    """What ``auto`` stands for, such as the ``recommendation.yaml`` of `kws study`; None is what ships."""

    def __post_init__(self) -> None:
        if self.policy != AUTO:
            build_policy(self.policy)
        if self.num_layers < 1:
            raise ConfigError(f"transfer.num_layers: got {self.num_layers}, allowed: 1 or more")
        if not 0 < self.encoder_rate <= 1 or not 0 < self.decay <= 1:
            raise ConfigError("transfer.encoder_rate and transfer.decay: allowed: above 0, at most 1")


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
