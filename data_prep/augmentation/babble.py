"""Voices that babble is mixed from: short beginnings of other people's speech, as many as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from data_prep.augmentation.banks import NoiseBank
from kws.audio import seconds_to_samples
from kws.errors import ConfigError
from kws.manifest import Recording

MOST_VOICES = 200
"""Recordings kept, taken evenly from all."""
VOICE_S = 10.0
"""Kept of each, from its start: 64 MB in all."""


def voices_of(speech: Sequence[Recording], clip: Callable[[Recording], np.ndarray]) -> NoiseBank:
    """Return the voices of babble.

    Args:
        speech: recordings without any keyword, best of many people.
        clip: gives (samples,) int16 of a recording.
    Raises:
        ConfigError: there is no speech.
    """
    if not speech:
        raise ConfigError("babble: there is no speech to mix it from; give `negatives`, or leave babble out")
    length = seconds_to_samples(VOICE_S)
    chosen = speech[:: -(-len(speech) // MOST_VOICES)]
    return NoiseBank.of_clips((entry.path, clip(entry)[:length].copy()) for entry in chosen)
