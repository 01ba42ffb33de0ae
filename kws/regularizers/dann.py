"""Domain-adversarial training: the kept layers unlearn what tells synthetic voices from real ones."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from kws.model import WakeWordModel
from kws.regularizers.base import Regularizer, Step, need_moving
from kws.regularizers.domains import frames_of_domains


class ReverseGradient(torch.autograd.Function):
    """Identity, whose gradient is multiplied by ``-strength``. Source: arXiv:1505.07818, section 3."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        """Return ``features`` as they are."""
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Turn the gradient round."""
        return -ctx.strength * gradient, None


def reversal(progress: float) -> float:
    """Return how strongly the gradient is reversed: from 0 at the start to nearly 1, at first steeply.

    Source: Ganin et al., arXiv:1505.07818, section 5.2.2, with gamma 10.

    Args:
        progress: share of the training that is done, 0 to 1.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DANN(Regularizer):
    """A small classifier learns to tell the domains apart, and the kept layers learn that it cannot.

    The domains are synthetic and real voices, or what is trained on and ``kws train --target-audio``
    (:class:`kws.structs.Domains`). Each frame is judged alone; both domains weigh the same. In nats per
    frame; log 2 where nothing tells them apart.
    Source: Ganin et al., arXiv:1505.07818.

    Raises:
        ConfigError: nothing of the encoder moves.
    """

    HIDDEN = 64
    needs_domains = True

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__(model)
        need_moving(model, "dann")
        dimension = model.encoder.info.dimension
        self.classifier = nn.Sequential(
            nn.LayerNorm(dimension), nn.Linear(dimension, self.HIDDEN), nn.ReLU(), nn.Linear(self.HIDDEN, 1)
        )

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """See :meth:`Regularizer.forward`."""
        strength = reversal(step.progress)
        costs = []
        for frames, is_target in zip(frames_of_domains(model, step), (0.0, 1.0), strict=True):
            judged = self.classifier(ReverseGradient.apply(frames, strength)).float()  # type: ignore[no-untyped-call]
            if len(judged):
                costs.append(binary_cross_entropy_with_logits(judged, torch.full_like(judged, is_target)))
        return torch.stack(costs).mean()
