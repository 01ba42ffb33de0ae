"""Distillation: what the source would recognise stays readable from the kept layers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from kws.model import WakeWordModel
from kws.regularizers.base import Frozen, Regularizer, Resources, Step

TEMPERATURE = 2.0
"""As Li and Hoiem chose; above 1, what is less likely than the best output, mostly blank, counts too."""


class Distillation(Regularizer):
    """Divergence from the source's phone posteriors, softened, mean per frame.

    A detector keeps the first layers alone, which have a phone output of their own at one depth at most. So
    they are read as the source reads its own, at any depth: by its upper layers and its output, which do not
    move and through which the gradient flows.

        audio ─▶ kept layers ─▶ the source's upper layers ─▶ its output ─▶ phones     compared on each
        audio ─▶ the whole source, as it was ────────────────────────────▶ phones     frame of the batch

    Two CTC outputs may tell the same phones some frames apart; these can be compared frame by frame, as one
    starts as the other. All audio of the batch counts; no label is used.

    Source: soft targets, Hinton et al., arXiv:1503.02531, section 2 (times the squared temperature); of the
    model's own past on the new task's data, Li and Hoiem (Learning without Forgetting), arXiv:1606.09282.
    """

    near_source = True
    needs_phones = True

    def prepare(self, model: WakeWordModel, resources: Resources) -> None:
        """See :meth:`Regularizer.prepare`."""
        assert resources.recognizer is not None
        self.source = Frozen(resources.recognizer)

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """See :meth:`Regularizer.forward`."""
        if not step.features.requires_grad:  # nothing borrowed moves
            return step.logits.new_zeros(())
        source, batch = self.source.module, step.batch
        with torch.no_grad():
            features, _ = source.encoder(batch.waveform, batch.lengths)
            target = source.output(features).float()
        found = source.above(step.features, len(model.encoder.layers)).float()
        target, found = ((logits[step.valid] / TEMPERATURE).log_softmax(1) for logits in (target, found))
        divergence = kl_div(found, target, reduction="none", log_target=True).sum(dim=1)  # (frames,)
        return TEMPERATURE**2 * divergence.mean()
