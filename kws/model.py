"""The keyword model: a truncated encoder and a head, walked alike in training, streaming and export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kws.encoders.base import Encoder
from kws.encoders.registry import load_encoder
from kws.encoders.truncate import truncate
from kws.errors import AudioError, ConfigError
from kws.heads import (
    COLUMNS,
    ENSEMBLE,
    OPTIONS,
    Head,
    HeadOptions,
    available_heads,
    build_head,
    head_options,
)
from kws.structs import StreamState


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a keyword model is made of; a model is rebuilt from this and its weights alone."""

    keywords: tuple[str, ...]
    """What it listens for, one output each."""
    encoder: str = "embedded"
    """Name in the encoder registry."""
    weights: Path | None = None
    """Local weights of the encoder; None takes its usual source."""
    depth: int = 6
    """Encoder layers to keep."""
    head: str = "conv"
    """Name of the head."""
    head_options: dict[str, Any] = field(default_factory=dict)
    """Its options, read by the head's own class; see :data:`kws.heads.OPTIONS`."""

    def __post_init__(self) -> None:
        if not self.keywords or any(not keyword.strip() for keyword in self.keywords):
            raise ConfigError("keywords: got none or an empty one; give at least one, such as `computer`")
        if len(set(self.keywords)) < len(self.keywords):
            raise ConfigError(f"keywords: {', '.join(self.keywords)} holds one twice; name each once")
        if self.head not in available_heads() and not (self.head in OPTIONS and self.head_options):
            raise ConfigError(f"head: got {self.head!r}, allowed: {', '.join(available_heads())}")
        self.options.check(len(self.keywords))

    @property
    def options(self) -> HeadOptions:
        """What the head is made of."""
        return head_options(self.head, self.head_options)


OF_HEADS = {
    "pronunciations": "pronunciations",
    "readings": "readings",
    "columns": "sizes",
    "head_layers": "layers",
}
"""Keys that earlier versions had in the model for the options of its head, and what the heads call them."""


def with_head_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a :class:`ModelConfig` with the options of the head where they lie now.

    Earlier versions wrote them into the model itself, and gave an ensemble the name of its trained head.
    """
    rest = {key: value for key, value in values.items() if key not in OF_HEADS}
    given = {name: values[key] for key, name in OF_HEADS.items() if values.get(key)}
    head = rest.get("head", "conv")
    if "pronunciations" in given and head not in OPTIONS.keys() - {COLUMNS}:
        of_trained = {"sizes": given.pop("sizes")} if "sizes" in given else {}
        given |= {"trained": head, "trained_options": of_trained}
        rest["head"] = ENSEMBLE
    return {**rest, "head_options": given} if given else rest


class WakeWordModel(nn.Module):
    """Encoder and head.

    Args:
        encoder: already cut to its depth.
        head: takes the encoder's dimension.
        keywords: names of the outputs.
    """

    def __init__(self, encoder: Encoder, head: Head, keywords: Iterable[str]) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.keywords = tuple(keywords)
        self.frozen: tuple[nn.Module, ...] = ()
        self._encoder_states = len(encoder.initial_state(1))

    @property
    def hop_samples(self) -> int:
        """Samples between two frames of scores."""
        return self.encoder.info.hop_samples

    def train(self, mode: bool = True) -> WakeWordModel:
        """Switch mode; modules in :attr:`frozen` (set by a transfer policy) stay in eval mode."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of a new stream: the encoder's tensors, then the head's."""
        return [*self.encoder.initial_state(batch), *self.head.initial_state(batch)]

    def run(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Score the next piece of a stream.

        Args:
            waveform: (batch, samples) float32 in [-1, 1], a whole number of hops.
            state: what the last call returned, or :meth:`initial_state`.
        Returns:
            logits (batch, samples // hop_samples, keyword) and the next state.
        """
        features, encoder_state = self.encoder.run(waveform, state[: self._encoder_states])
        logits, head_state = self.head(features, state[self._encoder_states :])
        return logits, [*encoder_state, *head_state]

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Score whole waveforms, each from a cold start.

        Args:
            waveform: (batch, samples) float32 in [-1, 1] at ``SAMPLE_RATE``.
            lengths: (batch,) int64, valid samples per row, each at least one hop.
        Returns:
            logits (batch, time, keyword), before the sigmoid, and the valid frames per row (batch,).
        Raises:
            AudioError: a row is shorter than one hop.
        """
        logits, _, frames = self.forward_features(waveform, lengths)
        return logits, frames

    def forward_features(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what :meth:`forward` does, and between both the encoder's (batch, time, feature)."""
        if int(lengths.min()) < self.hop_samples:
            raise AudioError(
                f"audio of {int(lengths.min())} samples is shorter than one hop of {self.hop_samples}"
            )
        features, frames = self.encoder(waveform, lengths)
        logits, _ = self.head(features, self.head.initial_state(waveform.shape[0]))
        return logits, features, frames

    @torch.no_grad()
    def scores(self, waveform: Tensor) -> Tensor:
        """Score whole waveforms in eval mode as a device would hear them, each from a cold start.

        Args:
            waveform: (batch, samples) float32 in [-1, 1]; the end is padded with silence to a whole chunk.
        Returns:
            (batch, time, keyword) scores in [0, 1], for the frames that end within the waveform.
        """
        info, mode = self.encoder.info, self.training
        step = info.chunk_samples or self.hop_samples
        padded = nn.functional.pad(waveform, (0, -waveform.shape[1] % step))
        self.eval()
        try:
            state, found = self.initial_state(waveform.shape[0]), []
            # a streaming encoder takes everything at once; a sliding one must not hear beyond each chunk
            for piece in torch.split(padded, padded.shape[1] if info.streaming else step, dim=1):
                logits, state = self.run(piece, state)
                found.append(logits)
        finally:
            self.train(mode)
        # each keyword by itself: how a sigmoid is rounded depends on the length of what it is taken of
        columns = torch.cat(found, dim=1).float().unbind(dim=2)
        scores = torch.stack([torch.sigmoid(column.contiguous()) for column in columns], dim=2)
        return scores[:, : waveform.shape[1] // self.hop_samples]


def build_model(config: ModelConfig, *, pretrained: bool = True) -> WakeWordModel:
    """Load the encoder, cut it and put a fresh head on top.

    Args:
        config: what to build.
        pretrained: False gives random encoder weights of the same shape.
    Raises:
        ConfigError, CheckpointError: see :func:`kws.encoders.registry.load_encoder` and :func:`truncate`.
    """
    return assemble(load_encoder(config.encoder, config.weights, pretrained=pretrained), config)


def assemble(encoder: Encoder, config: ModelConfig) -> WakeWordModel:
    """Cut a whole encoder and put a fresh head on top.

    Raises:
        ConfigError: it has fewer layers, or a phone of the head is unknown.
    """
    cut = truncate(encoder, config.depth)
    layers = encoder.layers[config.depth : config.depth + config.options.num_layers]
    head = build_head(config.head, cut.info.dimension, len(config.keywords), config.options, layers)
    return WakeWordModel(cut, head, config.keywords)
