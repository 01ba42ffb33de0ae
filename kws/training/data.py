"""The audio of one training run: what it learns from, and what it is read on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.audio_store import AudioStore
from kws.data import Synthetic


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Audio of one run.

    Attributes:
        positives, labels: training recordings and the keyword index of each.
        negatives: training speech and noise.
        dev_positives, dev_labels: recordings to choose by; may be augmented training recordings.
        held_out: True when no dev recording is trained on.
        dev_negatives: speech and noise of other speakers, for thresholds.
        confusables: words that sound like a keyword, or None.
        synthetic: synthetic voices, or None.
        transcribed: recordings with ``phones`` for regularisers that learn from them, or None.
        target: recordings of another domain, such as the room of the device, or None: where domains are
            compared, they then are synthetic and real voices.
    """

    positives: AudioStore
    labels: Sequence[int]
    negatives: AudioStore
    dev_positives: list[np.ndarray]
    dev_labels: Sequence[int]
    held_out: bool
    dev_negatives: AudioStore
    confusables: AudioStore | None = None
    synthetic: Synthetic | None = None
    transcribed: AudioStore | None = None
    target: AudioStore | None = None

    @property
    def has_two_domains(self) -> bool:
        """Whether there is audio without keywords of two domains."""
        synthetic = self.synthetic is not None and len(self.synthetic.speech) > 0
        return synthetic or bool(self.confusables) or self.target is not None
