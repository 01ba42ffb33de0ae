"""The contract of a loss weighting: several losses to the one that training lowers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class NoOptions:
    """A loss weighting without settings."""


class LossWeighting(nn.Module, ABC):
    """Adds losses; its own parameters are trained beside the model, its buffers are kept by a run that stops.

    Attributes:
        Options: dataclass of its settings.
        rate: learning rate of its own parameters, as a share of the head's.

    Args:
        weights: of each loss by name, from the recipe; the keyword loss has 1.
        options: its settings; None takes the defaults.
    """

    Options: ClassVar[type[Any]] = NoOptions
    rate: float = 1.0

    def __init__(self, weights: Mapping[str, float], options: Any = None) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.options = self.Options() if options is None else options

    @abstractmethod
    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> Tensor:
        """Return the scalar to lower.

        Args:
            losses: scalars by name, ``keyword`` among them, before their weights.
            shared: the uppermost borrowed parameters that move, which all losses pull at; may be empty.
        """
