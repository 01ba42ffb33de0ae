"""Detection losses on frame logits: a keyword fires somewhere in its span, and nothing fires elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kws.structs import Batch

POSITIVE_FRAMES = 3
"""Best frames of the span that must fire: one frame alone would be a spike that smoothing removes."""
NEGATIVE_FRAMES = 8
"""Worst frames of a window that must stay low."""


def max_pooling_loss(logits: Tensor, batch: Batch, cost: Callable[[Tensor], Tensor] = softplus) -> Tensor:
    """Binary cross-entropy on the best frames inside the keyword's span and the worst frames elsewhere.

    Args:
        logits: (batch, time, keyword).
        batch: its ``targets``, ``first_frames`` and ``last_frames`` are read.
        cost: of the logit of a frame that should stay low, and of the negated one of a frame that should
            fire; must rise with it. Softplus is the cross-entropy.
    Returns:
        Scalar: mean over positives plus mean over negatives, so that the number of each in the batch does not
            matter.
    Source: max-pooling loss for keyword spotting, Sun et al., arXiv:1705.02411; here over the best few
        frames.
    """
    frames = torch.arange(logits.shape[1], device=logits.device)
    targets = batch.targets.bool()  # (batch, keyword)
    span = (frames >= batch.first_frames[:, None]) & (frames <= batch.last_frames[:, None])  # (batch, time)
    inside = span[:, :, None] & targets[:, None, :]
    before = (frames < batch.first_frames[:, None])[:, :, None] & targets[:, None, :]
    outside = before | ~targets[:, None, :].expand_as(inside)

    best = _mean_of_largest(-cost(-logits), inside, POSITIVE_FRAMES).neg()  # (batch, keyword)
    worst = _mean_of_largest(cost(logits), outside, NEGATIVE_FRAMES)
    positive = (best * targets).sum() / targets.sum().clamp_min(1)
    negative = (worst * ~targets).sum() / (~targets).sum().clamp_min(1)
    early = (worst * targets).sum() / targets.sum().clamp_min(1)
    return positive + negative + 0.5 * early


def _mean_of_largest(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Mean of the ``count`` largest values (or fewer) among the allowed frames, (batch, keyword)."""
    best, place = values.masked_fill(~allowed, -torch.inf).topk(min(count, values.shape[1]), dim=1)
    real = allowed.gather(1, place)
    return best.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1).clamp_min(1)


@dataclass(frozen=True, slots=True)
class MaxPoolingLoss:
    """Loss ``max_pooling``: :func:`max_pooling_loss`; it has no settings."""

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """See :func:`max_pooling_loss`."""
        return max_pooling_loss(logits, batch)
