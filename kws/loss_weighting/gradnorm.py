"""Weights that make the losses pull equally hard at what they share, and harder where less was learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kws.errors import ConfigError
from kws.loss_weighting.base import LossWeighting


@dataclass(frozen=True, slots=True)
class GradNormOptions:
    """How the weights move."""

    alpha: float = 1.5
    """How much harder a loss pulls that has fallen less than the others; 0: all pull alike."""
    rate: float = 0.025
    """Change of the logarithm of a weight in one step, where its loss pulls as hard as the mean."""

    def __post_init__(self) -> None:
        if self.alpha < 0:
            raise ConfigError(f"train.loss_weighting_options.alpha: got {self.alpha}, allowed: 0 or more")
        if not 0 < self.rate < 1:
            raise ConfigError(
                f"train.loss_weighting_options.rate: got {self.rate}, allowed: above 0, below 1"
            )


class GradNormWeighting(LossWeighting):
    """The weighted sum, its weights moved after each step so that gradient norms follow the training rates.

    G is the norm of a weighted loss's gradient at the shared parameters, r the share that is left of the loss
    of the first step, relative to the mean share. Each weight goes down the gradient of ``|G - target|``, the
    target held constant and as ``r ** alpha``; then all are scaled to sum to their number. The weights of the
    recipe are those of the first step. A loss that begins at 0 has no share: it counts as the mean.

    Unlike in the paper the targets sum to what the norms do, so that all can be met, and the step is taken on
    the logarithm of the weight, measured in mean norms, so that weights stay above 0 and losses of any scale
    find theirs.
    Source: Chen et al. (GradNorm), arXiv:1711.02257, algorithm 1; 1.5 and 0.025 are what it takes on NYUv2.
    """

    Options = GradNormOptions

    def __init__(self, weights: Mapping[str, float], options: Any = None) -> None:
        super().__init__(weights, options)
        self.multipliers: Tensor
        self.first: Tensor
        self.register_buffer("multipliers", torch.ones(len(self.weights)))  # of the recipe's weights
        self.register_buffer("first", torch.full((len(self.weights),), torch.nan))

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> Tensor:
        """See :meth:`LossWeighting.forward`."""
        told = torch.stack([weight * losses[name] for name, weight in self.weights.items()])
        total = (self.multipliers * told).sum()
        if len(told) > 1:
            self._move(told, shared)
        return total

    def _move(self, told: Tensor, shared: Sequence[nn.Parameter]) -> None:
        """Set the weights of the next step."""
        if not shared:
            raise ConfigError(
                "train.loss_weighting gradnorm: no borrowed layer moves, so the losses share nothing to pull "
                "at; choose a policy that moves some, such as `train.transfer.policy=late`, or another way"
            )
        norms = torch.stack([_gradient_norm(loss, shared) for loss in told])
        told = told.detach()
        self.first = torch.where(self.first.isnan(), told, self.first)
        shares = torch.where(self.first > 0, told / self.first, torch.nan)
        relative = (shares / shares.nanmean()).nan_to_num(nan=1.0).clamp(min=0.0)
        pulls = self.multipliers * norms
        mean = pulls.mean()
        if mean > 0:
            wanted = relative**self.options.alpha
            excess = torch.sign(pulls - mean * wanted / wanted.mean())
            moved = self.multipliers * torch.exp(-self.options.rate * excess * pulls / mean)
            self.multipliers = moved * len(moved) / moved.sum()


def _gradient_norm(loss: Tensor, shared: Sequence[nn.Parameter]) -> Tensor:
    """Return the norm of the gradient of a scalar at all shared parameters together."""
    gradients = torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True)
    parts = [gradient.float().norm() for gradient in gradients if gradient is not None]
    return torch.stack(parts).norm() if parts else loss.new_zeros(())
