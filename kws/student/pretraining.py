"""Pretraining of a student: from any speech, its blocks learn what the shipped encoder hears.

No keyword is needed, so it is done once and shipped, see :mod:`kws.student.pretrained`.
Run by ``python -m benchmarks.student_weights``.

Source: hints from a teacher's hidden layer, Romero et al., FitNets, arXiv:1412.6550.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kws.student.network import Student
from kws.student.training import vary

HINTS = 64
"""Principal components of the teacher's frames that are learnt: nine tenths of their variance."""

FIRST_STEPS = 15
"""Steps of a row in which the student has heard too little to be asked for anything."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the pretraining."""

    steps: int
    """Updates of the weights."""
    learning_rate: float
    """Highest step of AdamW; it falls to nothing along a cosine."""
    blocks: tuple[int, ...]
    """Blocks that the hints are read from, from 0."""
    varied: bool
    """Rows are changed as in distillation; else half of them lack a band of channels."""


STAGES = (Stage(7_000, 3e-3, (1, 2, 3), False), Stage(12_000, 2e-3, (1, 3), True))
"""How the shipped weights were trained."""

BATCH = 96
WARM_UP = 200


def pretrain(
    student: Student,
    features: np.ndarray,
    hints: np.ndarray,
    stage: Stage,
    seed: int = 0,
    on_step: Callable[[int, list[float]], None] | None = None,
) -> None:
    """Train the blocks of a student in place.

    Args:
        student: with normalisation, not folded.
        features: (rows, time, channels) int8.
        hints: (rows, steps, ``HINTS``) float16 of the teacher, at the end of each step.
        stage: how.
        seed: of draws and of the layers that read the hints.
        on_step: called with the number of each finished step, and the share of the variance that is left at
            each block.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    readers = nn.ModuleList(nn.Conv2d(student.config.channels, HINTS, 1) for _ in stage.blocks)
    parameters = [*student.parameters(), *readers.parameters()]
    optimizer = torch.optim.AdamW(parameters, stage.learning_rate, weight_decay=1e-2)
    spread = float(hints[:2000].astype(np.float32).var((0, 1)).mean())
    student.train()
    for step in range(stage.steps):
        chosen = rng.integers(0, len(features), BATCH)
        heard, wished = _batch(features[chosen], hints[chosen], stage, rng)
        blocks = student.hear(heard)
        left = [
            ((reader(blocks[block])[:, :, 0].transpose(1, 2) - wished)[:, FIRST_STEPS:] ** 2).mean() / spread
            for block, reader in zip(stage.blocks, readers, strict=True)
        ]
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * _share(step, stage.steps)
        optimizer.zero_grad()
        torch.stack(left).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, [value.item() for value in left])


def _batch(
    features: np.ndarray, hints: np.ndarray, stage: Stage, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return features as float and the hints for their steps."""
    heard, wished = torch.from_numpy(features).float(), torch.from_numpy(hints.astype(np.float32))
    if stage.varied:
        steps = torch.arange(wished.shape[1])[None].repeat(len(wished), 1).float()
        heard, moved = vary(heard, steps, len(heard), rng)
        return heard, wished.gather(1, moved.long()[:, :, None].expand(-1, -1, wished.shape[2]))
    width = int(rng.integers(1, 6))
    channel = int(rng.integers(0, heard.shape[2] - width))
    heard[: len(heard) // 2, :, channel : channel + width] = -128
    return heard, wished


def _share(step: int, steps: int) -> float:
    """Return the part of the learning rate at a step."""
    return float(min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.5 * (1 + np.cos(np.pi * step / steps))))
