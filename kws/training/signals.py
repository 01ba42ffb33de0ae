"""How much each borrowed part of a model has to change by the data, for policies that ask."""

from __future__ import annotations

import math

import torch

from kws.data import KeywordBatches
from kws.losses import DetectionLoss
from kws.model import WakeWordModel
from kws.transfer.base import borrowed

NUM_BATCHES = 4
"""Batches that are heard, the first of training."""


def gradient_signals(model: WakeWordModel, loss: DetectionLoss, batches: KeywordBatches) -> list[float]:
    """Return the norm of the gradient of each borrowed part, stem first, beside the norm of its weights.

    The same for a run that starts and one that goes on: the model is that of the source, without dropout.
    Source: relative gradient norm, Lee et al. (surgical fine-tuning), arXiv:2210.11466, section 4.
    """
    parts = [list(part.parameters()) for _, part in borrowed(model)]
    totals, mode = [0.0] * len(parts), model.training
    model.eval()
    for step in range(NUM_BATCHES):
        batch = batches.batch(step)
        logits, _ = model(batch.waveform, batch.lengths)
        model.zero_grad()
        torch.autograd.backward(loss(logits.float(), batch))
        for index, parameters in enumerate(parts):
            moved = sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None)
            size = sum(float(p.detach().square().sum()) for p in parameters)
            totals[index] += math.sqrt(moved / size) / NUM_BATCHES
    model.zero_grad()
    model.train(mode)
    return totals
