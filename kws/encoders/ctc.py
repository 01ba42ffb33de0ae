"""The recogniser that is pretrained: the embedded encoder with phone outputs on two layers.

Used by :mod:`kws.pretraining.loop`; transfer keeps the encoder and drops the outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from kws.audio import seconds_to_samples
from kws.encoders.base import Encoder
from kws.encoders.blocks.base import initial_states, run_blocks
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.errors import ConfigError
from kws.phones import NUM_OUTPUTS


class PhoneRecognizer(nn.Module):
    """Encoder and two linear phone outputs, trained with CTC.

    The middle output regularises training and makes the layers that a wake word keeps speak of phones
    themselves.
    Source: intermediate CTC, Lee and Watanabe, arXiv:2102.03216.

    Further languages can have such a pair of outputs each, over the same layers; they make the layers better
    and are read by nothing but pretraining. Source: shared hidden layers, Huang et al., ICASSP 2013.

    Args:
        encoder: the encoder to train.
        middle: number of layers below the middle output.
        inventories: phone symbols of each language with outputs of its own. The main output is number 0, the
            others follow in this order.
    """

    def __init__(
        self, encoder: EmbeddedEncoder, middle: int, inventories: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.middle = middle
        self.inventories = {language: list(symbols) for language, symbols in (inventories or {}).items()}
        dimension = encoder.info.dimension
        self.output = _linear_output(dimension, NUM_OUTPUTS)
        self.middle_output = _linear_output(dimension, NUM_OUTPUTS)
        self.further = nn.ModuleDict(
            {
                language: nn.ModuleList(_linear_output(dimension, len(symbols) + 1) for _ in range(2))
                for language, symbols in self.inventories.items()
            }
        )

    def hidden(self, features: Tensor) -> list[Tensor]:
        """Return what every layer gives for log-mel frames, first layer first.

        Args:
            features: (batch, 4 * time, mel), as the encoder's front end gives them.
        Returns:
            (batch, time, feature) for each layer.
        """
        encoder, batch = self.encoder, features.shape[0]
        features, _ = encoder.stem(features, encoder.stem.initial_state(batch))
        found = []
        for layer in encoder.layers:
            features, _ = layer(features, layer.initial_state(batch))  # type: ignore[operator]
            found.append(features)
        return found

    def logits(self, hidden: list[Tensor], output: int = 0) -> tuple[Tensor, Tensor]:
        """Return phone logits of the last and the middle layer, both (batch, time, phone).

        Args:
            hidden: what :meth:`hidden` gives.
            output: 0 is the main output of 40 phones, n that of the n-th language of ``inventories``.
        """
        last, middle = self.output, self.middle_output
        if output:
            last, middle = self.further[list(self.inventories)[output - 1]]  # type: ignore[misc]
        return last(hidden[-1]), middle(hidden[self.middle - 1])

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map log-mel frames to phone logits.

        Args:
            features: (batch, 4 * time, mel), as the encoder's front end gives them.
        Returns:
            logits of the last layer and of the middle layer, both (batch, time, 40).
        """
        return self.logits(self.hidden(features))

    def above(self, features: Tensor, depth: int) -> Tensor:
        """Map what an encoder cut at ``depth`` gives to the phone logits of the last layer.

        Args:
            features: (batch, time, feature) of layer ``depth``, from the start of a stream.
            depth: layers below; with all of them only the output is left to do.
        Returns:
            (batch, time, 40).
        """
        layers = self.encoder.layers[depth:]
        features, _ = run_blocks(layers, features, initial_states(layers, features.shape[0]))
        logits: Tensor = self.output(features)
        return logits

    def with_first_layers(self, encoder: Encoder) -> PhoneRecognizer:
        """Return a copy whose first layers, and what lies below them, are those of a cut encoder.

        Args:
            encoder: cut from this recogniser's own, and fine-tuned.
        Raises:
            ConfigError: it is not of this recogniser's shape.
        """
        if encoder.shape() != self.encoder.shape():
            raise ConfigError(
                f"the encoder has the shape {encoder.shape()}, the recogniser {self.encoder.shape()}; give "
                "the recogniser that the encoder was cut from"
            )
        joined = copy.deepcopy(self)
        joined.encoder.load_state_dict({**joined.encoder.state_dict(), **encoder.state_dict()})
        return joined

    @torch.no_grad()
    def hear(self, waveform: np.ndarray, tail_s: float) -> Tensor:
        """Return the (frames, 40) log-probabilities of blank and phones in a waveform.

        Args:
            waveform: (samples,) float32 at ``SAMPLE_RATE``.
            tail_s: silence after it, in seconds, so that its end is heard in spite of the look-ahead.
        """
        padded = np.pad(waveform, (0, seconds_to_samples(tail_s)))
        whole = len(padded) // self.encoder.info.hop_samples * self.encoder.info.hop_samples
        features, _ = self.encoder.frontend(torch.from_numpy(padded[None, :whole]))
        return torch.log_softmax(self(features)[0][0], dim=-1)


def _linear_output(dimension: int, num_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dimension), nn.Linear(dimension, num_outputs))
