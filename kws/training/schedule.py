"""The learning-rate schedule of every training loop: a linear warm-up, then a cosine to zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig


def warmup_then_cosine(step: int, total: int, warmup_share: float, opening: float = 0.0) -> float:
    """Return the share of the peak rate at ``step`` of ``total``.

    Args:
        step: from 0.
        total: steps of the whole run.
        warmup_share: share of them over which the rate rises, in [0, 1).
        opening: share of them before which the rate is 0; then it rises as at the start, up to the cosine, as
            moments that begin there make the first steps as large as the rate.
    """
    if step / total < opening:
        return 0.0
    warmup = max(1, round(warmup_share * total))
    rise = (step + 1 - opening * total) / warmup
    fallen = min(1.0, max(0, step - warmup) / max(1, total - warmup))
    return min(rise, 0.5 * (1 + math.cos(math.pi * fallen)))


def scheduled(
    optimizer: torch.optim.Optimizer, total: int, warmup_share: float, opens: Sequence[float] = ()
) -> OptimizerLRSchedulerConfig:
    """Return an optimiser with its schedule, stepped after every batch, in Lightning's form.

    Args:
        optimizer: holds the peak rates.
        total: steps of the whole run.
        warmup_share: see :func:`warmup_then_cosine`.
        opens: for each of its groups, see :func:`warmup_then_cosine`; empty: 0 for all.
    """

    def of_group(opening: float) -> Callable[[int], float]:
        return lambda step: warmup_then_cosine(step, total, warmup_share, opening)

    shares = [of_group(opening) for opening in opens or (0.0,) * len(optimizer.param_groups)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shares)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
