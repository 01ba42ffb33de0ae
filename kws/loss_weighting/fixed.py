"""Weights that stay what the recipe says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kws.loss_weighting.base import LossWeighting


class FixedWeighting(LossWeighting):
    """The weighted sum."""

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> Tensor:
        """See :meth:`LossWeighting.forward`."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()
