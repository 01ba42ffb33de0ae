"""What a student learns from: rows of features, and what its teacher hears in each step of them.

A row is three seconds of audio. The teacher hears it clean, the student hears it in noise and rooms, so that
it learns to hear there what the teacher hears without them. Made by :mod:`kws.workflows.microcontroller`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kws.pcm import SAMPLE_RATE, seconds_to_samples
from kws.student.features import STEP_SAMPLES, micro_features
from kws.student.network import STRIDE

NUM_STEPS = 100
"""Steps of a row, of 30 ms: a phrase of two seconds, and what surrounds it."""

STRIDE_SAMPLES = STRIDE * STEP_SAMPLES
"""Samples of one step."""

ROW_SAMPLES = NUM_STEPS * STRIDE_SAMPLES

BEFORE_STEPS = 50
"""Heard before a row, so that noise reduction and gain of the features have adapted as on a device."""

BEFORE_SAMPLES = BEFORE_STEPS * STRIDE_SAMPLES

COLD = 0.2
"""Share of rows before which nothing was heard, as after switching on."""

END_S = (0.3, 0.9)
"""From the end of a phrase to the end of its row, in seconds: a detection comes late, but not later."""

LONGEST_S = 2.0
"""More of a recording of a phrase is cut off at its begin, in seconds."""

Teacher = Callable[[np.ndarray], np.ndarray]
"""``teacher(waveform) -> (steps,) float32``: the logit of its score every 30 ms of (samples,) float32."""

Change = Callable[[np.ndarray], np.ndarray]
"""Noise and rooms: (samples,) float32 to the same length."""


@dataclass(frozen=True)
class Rows:
    """Rows of one kind.

    Attributes:
        features: (rows, ``NUM_STEPS * STRIDE``, channels) int8.
        targets: (rows, ``NUM_STEPS``) float16, logits of the teacher's scores of the clean audio.
    """

    features: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def with_more(self, others: Rows) -> Rows:
        """Return these rows, and others after them."""
        return Rows(
            np.concatenate([self.features, others.features]), np.concatenate([self.targets, others.targets])
        )


def place(clip: np.ndarray, around: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a recording near the end of a row, in place of what is heard there otherwise.

    Args:
        clip: (samples,) float32 of the phrase alone.
        around: (``BEFORE_SAMPLES + ROW_SAMPLES``,) float32, what is heard before and after.
        rng: draws where.
    Returns:
        Audio of the length of ``around``.
    """
    clip = clip[-seconds_to_samples(LONGEST_S) :]
    end = len(around) - int(rng.uniform(*END_S) * SAMPLE_RATE)
    placed = around.copy()
    placed[end - len(clip) : end] = clip
    return placed


def make_row(clean: np.ndarray, teacher: Teacher, change: Change, cold: bool) -> Rows:
    """Return one row.

    Args:
        clean: (``BEFORE_SAMPLES + ROW_SAMPLES``,) float32.
        teacher: hears it as it is.
        change: makes of it what the student hears.
        cold: the student has heard nothing before the row.
    """
    heard = change(clean)
    if cold:
        features = micro_features(heard[BEFORE_SAMPLES:])
    else:
        features = micro_features(heard)[BEFORE_STEPS * STRIDE :]
    targets = teacher(clean)[BEFORE_STEPS : BEFORE_STEPS + NUM_STEPS]
    return Rows(features[None], targets[None].astype(np.float16))
