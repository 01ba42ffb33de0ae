"""Small students and features, without audio."""

from __future__ import annotations

import numpy as np
import torch

from kws.student.features import NUM_CHANNELS
from kws.student.network import STRIDE, Student, StudentConfig


def speech_features(num_features: int, seed: int = 0) -> np.ndarray:
    """Return (features, channels) int8 that rise and fall as speech does."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(num_features // 12 + 1), 12)[:num_features, None]
    return (-128 + 160 * loud * rng.random((num_features, NUM_CHANNELS))).astype(np.int8)


def small_student(config: StudentConfig | None = None, seed: int = 0) -> Student:
    """Return a student without training, folded, with ranges, whose logits go from about -4 to 4."""
    torch.manual_seed(seed)
    student = Student(config or StudentConfig(channels=8, kernels=(2, 3), last_steps=2))
    batch = torch.from_numpy(speech_features(400 * STRIDE, seed + 1))[None]
    with torch.no_grad():
        for _ in range(20):
            student.train()(batch)
        student.eval()
        student.fold()
        logits = student(batch)
        student.last.weight.mul_(2 / logits.std())
        student.last.bias.zero_()
        student.last.bias.sub_(student(batch).mean())
        student.observe([batch])
    return student
