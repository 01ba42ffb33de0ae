"""Feature matching: the kept layers go on giving what those of the source give."""

from __future__ import annotations

import torch
from torch import Tensor

from kws.model import WakeWordModel
from kws.regularizers.base import Frozen, Regularizer, Step


class FeatureMatching(Regularizer):
    """Squared distance of the features from the source's on the same audio, as a share of their variance.

    The share of the variance that is not explained: 0 where nothing changed, 1 where the features are as far
    off as their mean would be, at any depth and dimension and for any encoder. All audio of the batch counts;
    no label is used.

    Of the kept layers the top one is matched: it is all that the head, and the upper layers of the source,
    ever see of them, so the layers below may change in any way that makes no difference there.

    Source: hints, Romero et al. (FitNets), arXiv:1412.6550, equation 3, the source being the teacher; staying
    near what layers give instead of near their weights, Li et al. (DELTA), arXiv:1901.09229, here with all
    features weighted alike.
    """

    near_source = True

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__(model)
        moves = any(parameter.requires_grad for parameter in model.encoder.parameters())
        self.source = Frozen(model.encoder) if moves else None

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """See :meth:`Regularizer.forward`."""
        if self.source is None:
            return step.logits.new_zeros(())
        with torch.no_grad():
            target, _ = self.source.module(step.batch.waveform, step.batch.lengths)
            target = target.float()[step.valid]  # (frames, feature)
            variance = (target - target.mean(dim=0)).square().mean()
        distance = (step.features[step.valid] - target).square().mean()
        loss: Tensor = distance / variance.clamp_min(torch.finfo(target.dtype).eps)
        return loss
