"""The contract of a speech encoder: what it is (`EncoderInfo`) and how it is walked (`Encoder`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kws.structs import EncoderOutput, StreamState


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What a person and the code may rely on.

    Attributes:
        name: registry name, such as ``embedded``.
        hop_samples: samples between output frames; frame t ends at sample ``(t + 1) * hop_samples``.
        receptive_field_samples: samples that one output frame depends on; with a running mean, which never
            ends, those whose weight in it is not negligible.
        lookahead_samples: samples that frame t may depend on after the sound it is about (0: causal); an
            encoder that waits gives that sound's frame so much later.
        dimension: features per output frame.
        num_layers: layers that :func:`kws.encoders.truncate.truncate` counts.
        streaming: True when chunks with state give exactly what the whole waveform gives; False when
            streaming means
            running the encoder again over a sliding window.
        window_samples: length of that sliding window (0 when ``streaming``).
        chunk_samples: pieces of a stream that are whole multiples of this give the same frames however it is
            cut; shorter ones see less ahead (0: any whole number of hops). An exported graph takes so much.
        license: SPDX name or a plain statement for the weights.
        source: where the weights come from, as a person can look it up.
    """

    name: str
    hop_samples: int
    receptive_field_samples: int
    lookahead_samples: int
    dimension: int
    num_layers: int
    streaming: bool
    license: str
    source: str
    window_samples: int = 0
    chunk_samples: int = 0


class Encoder(nn.Module, ABC):
    """A front end, a stem and ordered layers; subclasses give what raises here.

    Attributes:
        info: what the encoder declares of itself.
        stem: everything below the first layer that has weights.
        layers: the ordered layers; ``truncate`` keeps the first n, a transfer policy counts them.
        phone_outputs: number of a layer to what the recogniser that this comes from reads phones from it
            with, (..., dimension) to (..., 40); no part of the encoder, and empty where there is none.
    """

    info: EncoderInfo
    stem: nn.Module
    layers: nn.ModuleList

    def __init__(self) -> None:
        super().__init__()
        self.phone_outputs: dict[int, nn.Module] = {}

    @abstractmethod
    def shape(self) -> dict[str, Any]:
        """Return plain values from which :func:`~kws.encoders.registry.build_encoder` makes the whole."""

    @abstractmethod
    def describe(self) -> EncoderInfo:
        """Return :attr:`info` for the layers that are there now; called again after a cut."""

    @abstractmethod
    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of a new stream for ``batch`` rows."""

    @abstractmethod
    def run(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Encode the next piece of a stream.

        Args:
            waveform: (batch, samples) float32 in [-1, 1], a whole number of hops.
            state: what the last call returned, or :meth:`initial_state`.
        Returns:
            features: (batch, samples // hop_samples, feature) float32.
            state: for the next call.
        """

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode whole waveforms: the same as one long piece of a stream from a zero state.

        Args:
            waveform: (batch, samples) float32 in [-1, 1] at ``SAMPLE_RATE``.
            lengths: (batch,) int64, valid samples per row.
        Returns:
            features (batch, time, feature) and the valid frames per row; frames past a row's length are not
            masked.
        """
        hop = self.info.hop_samples
        padded = nn.functional.pad(waveform, (0, -waveform.shape[1] % hop))
        features, _ = self.run(padded, self.initial_state(waveform.shape[0]))
        return EncoderOutput(features, torch.div(lengths, hop, rounding_mode="floor"))
