"""The contract of a balance: several losses to the one that training lowers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn


class Balance(nn.Module):
    """Adds losses; its own parameters are trained beside the model.

    Args:
        weights: of each loss by name, from the recipe; the keyword loss has 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> Tensor:
        """Return the scalar to lower.

        Args:
            losses: scalars by name, ``keyword`` among them, before their weights.
            shared: the uppermost borrowed parameters that move, which all losses pull at; may be empty.
        """
        raise NotImplementedError
