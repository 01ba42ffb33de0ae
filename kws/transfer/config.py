"""What a recipe says about transfer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kws.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Which parts of the model training may change."""

    policy: str = "auto"
    """Name of a policy, see :func:`kws.transfer.available_policies`; auto: by the number of recordings."""
    num_layers: int = 3
    """Encoder layers that move under ``early`` (and the stem), ``late`` and ``surgical`` (the stem counts as
    one); more than there are is everything."""
    encoder_rate: float = 0.3
    """Learning rate of borrowed layers, as a share of the head's."""
    decay: float = 0.8
    """Under ``discriminative``, each layer's rate as a share of the next higher one's."""
    direction: Literal["down", "up"] = "down"
    """Under ``gradual``, which part moves first: ``down`` the uppermost layer, ``up`` the stem."""
    thaw: float = 0.5
    """Under ``gradual``, share of the training after which everything moves."""
    adapter_rank: int = 8
    """Under ``adapters``, rank of each."""
    adapter_alpha: float = 16.0
    """Under ``adapters``, factor of each, divided by ``adapter_rank``."""
    adapter_rate: float = 1.0
    """Under ``adapters``, their learning rate as a share of the head's: they are new, as it is."""
    auto_table: Path | None = None
    """What ``auto`` stands for, such as the ``recommendation.yaml`` of `kws study`; None is what ships."""

    def __post_init__(self) -> None:
        for name in ("num_layers", "adapter_rank"):
            if getattr(self, name) < 1:
                raise ConfigError(f"train.transfer.{name}: got {getattr(self, name)}, allowed: 1 or more")
        for name in ("encoder_rate", "decay", "adapter_rate"):
            rate = getattr(self, name)
            if not 0 < rate <= 1:
                raise ConfigError(f"train.transfer.{name}: got {rate}, allowed: above 0, at most 1")
        if not 0 < self.thaw < 1:
            raise ConfigError(f"train.transfer.thaw: got {self.thaw}, allowed: above 0, below 1")
        if self.adapter_alpha <= 0:
            raise ConfigError(f"train.transfer.adapter_alpha: got {self.adapter_alpha}, allowed: above 0")
