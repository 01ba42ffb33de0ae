"""Focal loss: what is right already counts little, so that the rare hard frames are learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from kws.errors import ConfigError
from kws.losses.max_pooling import max_pooling_loss
from kws.structs import Batch


@dataclass(frozen=True, slots=True)
class FocalLoss:
    """Loss ``focal``: the cross-entropy of each frame times ``(1 - p) ** gamma``, p being how right it is.

    Over the same frames as ``max_pooling``. The paper's second factor, alpha, weighs positives against
    negatives; here the mean of each is taken apart, which does that.
    Source: Lin et al., arXiv:1708.02002, equation 4.
    """

    gamma: float = 2.0
    """How much less an easy frame counts; 0 is ``max_pooling``, 2 the paper's best."""

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise ConfigError(f"train.loss_options.gamma: got {self.gamma}, allowed: 0 or more")

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """See :func:`kws.losses.max_pooling.max_pooling_loss`."""
        return max_pooling_loss(logits, batch, self.cost)

    def cost(self, logits: Tensor) -> Tensor:
        """Return what each frame that should stay low costs; finite, with its gradient, for any logit."""
        return torch.exp(self.gamma * logsigmoid(logits)) * softplus(logits)
