"""Micro features: what the firmware of a microcontroller computes from audio, in int8.

TensorFlow's micro speech front end: 40 channels of a mel filter bank over windows of 30 ms every 10 ms, with
noise reduction and automatic gain for each channel. Both adapt to what they hear, so features are those of a
whole stream. The package pymicro-features brings the front end's own C code.

Source: github.com/tensorflow/tflite-micro, ``tensorflow/lite/experimental/microfrontend``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kws.errors import DependencyError
from kws.pcm import to_int16

NUM_CHANNELS = 40
"""Channels of the features."""

STEP_SAMPLES = 160
"""Samples at 16 kHz from one vector of features to the next."""

FEATURE_SCALE, FEATURE_ZERO = np.float32(26 / 255).item(), -128
"""A feature is ``FEATURE_SCALE * (int8 - FEATURE_ZERO)``: the range of the ready models of ESPHome."""


def micro_features(waveform: np.ndarray) -> np.ndarray:
    """Return the features of a stream from its begin.

    Args:
        waveform: (samples,) float32 in [-1, 1], at 16 kHz.
    Returns:
        (steps, ``NUM_CHANNELS``) int8, one for each ``STEP_SAMPLES``; the first two, before a window is full,
        are silence.
    Raises:
        DependencyError: pymicro-features is not installed.
    """
    frontend, pcm = open_frontend(), to_int16(waveform)
    features = np.full((len(pcm) // STEP_SAMPLES, NUM_CHANNELS), FEATURE_ZERO, np.int8)
    for step in range(len(features)):
        start = step * STEP_SAMPLES
        found = frontend.process_samples(pcm[start : start + STEP_SAMPLES].tobytes()).features
        if found:
            features[step] = quantize_features(np.asarray(found, np.float32))
    return features


def quantize_features(features: np.ndarray) -> np.ndarray:
    """Return features (…, channels) of the front end as int8, cut at the ends of its range."""
    steps = np.round(features / np.float32(FEATURE_SCALE) + FEATURE_ZERO)
    return np.clip(steps, -128, 127).astype(np.int8)


def open_frontend() -> Any:
    """Return a front end that has heard nothing.

    Raises:
        DependencyError: pymicro-features is not installed.
    """
    try:
        from pymicro_features import MicroFrontend
    except ImportError as error:
        raise DependencyError(
            'models of microWakeWord need pymicro-wakeword: `pip install "kws[esp]"`'
        ) from error
    return MicroFrontend()
