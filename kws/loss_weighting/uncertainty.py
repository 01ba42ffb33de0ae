"""Weights by homoscedastic uncertainty: a loss that stays high is taken for noisy and counts less."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kws.loss_weighting.base import LossWeighting


class UncertaintyWeighting(LossWeighting):
    """The sum of ``exp(-s) * loss + s / 2``, with a log-variance s learnt for each loss.

    It is lowest where ``exp(-s) = 1 / (2 * loss)``: then all losses count alike. The weights of the recipe
    are where it begins. Meant for losses that stay above 0; one that reaches 0 would be weighted ever more.
    Source: Kendall, Gal and Cipolla, arXiv:1705.07115, equation 10, its term for classification, with s the
    logarithm of the variance.
    """

    rate = 10.0
    """AdamW moves s by its rate in each step, whatever the gradient: at the head's own, 320 steps would not
    change a weight by half."""

    def __init__(self, weights: Mapping[str, float], options: Any = None) -> None:
        super().__init__(weights, options)
        self.log_variances = nn.Parameter(torch.tensor([-math.log(weight) for weight in weights.values()]))

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> Tensor:
        """See :meth:`LossWeighting.forward`."""
        told = torch.stack([losses[name] for name in self.weights])
        return (torch.exp(-self.log_variances) * told + self.log_variances / 2).sum()
