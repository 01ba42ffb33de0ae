"""L2-SP: stay near the weights of the source."""

from __future__ import annotations

import torch
from torch import Tensor

from kws.model import WakeWordModel
from kws.regularizers.base import Regularizer, Step


class L2SP(Regularizer):
    """Half the squared distance of the borrowed weights that move from where they began.

    Source: Li, Grandvalet and Davoine, arXiv:1802.01483, equation 2 (its second term, weight decay of the new
    layers, is the optimiser's).
    """

    near_source = True

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__(model)
        for name, parameter in model.encoder.named_parameters():
            if parameter.requires_grad:  # a buffer, so that a run that goes on knows where it began
                self.register_buffer(_buffer(name), parameter.detach().clone())

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """See :meth:`Regularizer.forward`."""
        moved = [
            (self.importance(name) * (parameter - self.get_buffer(_buffer(name))).square()).sum()
            for name, parameter in model.encoder.named_parameters()
            if parameter.requires_grad
        ]
        return 0.5 * torch.stack(moved).sum() if moved else step.logits.new_zeros(())

    def importance(self, name: str) -> Tensor | float:
        """Return what the squared distance of a parameter's elements is multiplied by."""
        return 1.0


def _buffer(name: str) -> str:
    return name.replace(".", "/")
