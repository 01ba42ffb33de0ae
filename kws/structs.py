"""The few typed bundles that travel along the one road from audio to scores."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

StreamState = list[Tensor]
"""What a streaming module remembers: float32 tensors, batch first; all zeros is a cold start."""


class EncoderOutput(NamedTuple):
    """What an encoder returns.

    Attributes:
        features: (batch, time, feature) float32.
        lengths: (batch,) int64, valid frames per row.
    """

    features: Tensor
    lengths: Tensor


class Transcribed(NamedTuple):
    """Speech of which it is known what is said.

    Attributes:
        waveform: (batch, samples) float32 in [-1, 1] at ``SAMPLE_RATE``.
        lengths: (batch,) int64, valid samples per row.
        phones: (sum of ``num_phones``,) int64 as of :func:`kws.phones.encode`, rows one after the other.
        num_phones: (batch,) int64.
    """

    waveform: Tensor
    lengths: Tensor
    phones: Tensor
    num_phones: Tensor


class Domains(NamedTuple):
    """Audio of two domains, such as synthetic and real voices, neither of which holds a keyword.

    Attributes:
        source: (batch,) bool, rows of the batch that are of the source domain.
        waveform: (windows, samples) float32 in [-1, 1] at ``SAMPLE_RATE``, of the target domain.
        lengths: (windows,) int64, valid samples per window.
    """

    source: Tensor
    waveform: Tensor
    lengths: Tensor


class Batch(NamedTuple):
    """One batch of keyword training data.

    Attributes:
        waveform: (batch, samples) float32 in [-1, 1] at ``SAMPLE_RATE``.
        lengths: (batch,) int64, valid samples per row.
        targets: (batch, keyword) float32, 1 where the keyword is spoken in the row.
        first_frames: (batch,) int64, first frame that may fire for a positive row.
        last_frames: (batch,) int64, last frame that should fire for it.
        transcribed: other speech for the same step, where a regulariser learns from it.
        domains: rows and other audio that a regulariser compares.
    """

    waveform: Tensor
    lengths: Tensor
    targets: Tensor
    first_frames: Tensor
    last_frames: Tensor
    transcribed: Transcribed | None = None
    domains: Domains | None = None
