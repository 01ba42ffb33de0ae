"""The learning-rate schedule of every training loop: a linear warm-up, then a cosine to zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig


def warmup_then_cosine(step: int, total: int, warmup_share: float) -> float:
    """Return the share of the peak rate at ``step`` of ``total``.

    Args:
        step: from 0.
        total: steps of the whole run.
        warmup_share: share of them over which the rate rises, in [0, 1).
    """
    warmup = max(1, round(warmup_share * total))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def scheduled(
    optimizer: torch.optim.Optimizer, total: int, warmup_share: float, opens: Sequence[float] = ()
) -> OptimizerLRSchedulerConfig:
    """Return an optimiser with its schedule, stepped after every batch, in Lightning's form.

    Args:
        optimizer: holds the peak rates.
        total: steps of the whole run.
        warmup_share: see :func:`warmup_then_cosine`.
        opens: for each of its groups the share of the run before which its rate is 0; empty: 0 for all.
    """

    def of_group(opening: float) -> Callable[[int], float]:
        first = opening * total
        return lambda step: warmup_then_cosine(step, total, warmup_share) if step >= first else 0.0

    shares = [of_group(opening) for opening in opens or (0.0,) * len(optimizer.param_groups)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shares)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
