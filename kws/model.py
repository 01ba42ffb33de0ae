"""The keyword model: a truncated encoder and a head, walked alike in training, streaming and export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kws.encoders.base import Encoder
from kws.encoders.registry import load_encoder
from kws.encoders.truncate import truncate
from kws.errors import AudioError, ConfigError
from kws.heads import COLUMNS, TYPED, Head, available_heads, build_head
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
    pronunciations: tuple[tuple[str, ...], ...] = ()
    """Of each keyword, as ARPAbet phones between spaces; for heads made from typed text, or a head with the
    typed phrases beside it."""
    readings: tuple[tuple[int, ...], ...] = ()
    """Phones in each recorded way of each keyword; for head ``phrase`` alone."""
    columns: tuple[int, ...] = ()
    """Keywords of each column, in the order of training; for head ``columns`` alone."""
    head_layers: int = 0
    """Encoder layers above ``depth`` that belong to the head; for ``phrase_window``, and a head beside it."""

    def __post_init__(self) -> None:
        if not self.keywords or any(not keyword.strip() for keyword in self.keywords):
            raise ConfigError("keywords: got none or an empty one; give at least one, such as `computer`")
        if len(set(self.keywords)) < len(self.keywords):
            raise ConfigError(f"keywords: {', '.join(self.keywords)} holds one twice; name each once")
        made = (self.head in TYPED and self.pronunciations) or (self.head == COLUMNS and self.columns)
        if self.head not in available_heads() and not made:
            raise ConfigError(f"head: got {self.head!r}, allowed: {', '.join(available_heads())}")
        if self.columns and (sum(self.columns) != len(self.keywords) or min(self.columns) < 1):
            raise ConfigError(
                f"columns: got {list(self.columns)}, allowed: numbers above 0 that sum to the "
                f"{len(self.keywords)} keywords"
            )
        if self.pronunciations and self.head not in TYPED and not self.head_layers:
            raise ConfigError(
                f"pronunciations: head {self.head!r} is trained; leave them out, and put typed phrases "
                "beside the finished run with `enroll(ensemble=RUN)`"
            )
        if self.pronunciations and len(self.pronunciations) != len(self.keywords):
            raise ConfigError(
                f"pronunciations: got {len(self.pronunciations)}, allowed: one list for each of the "
                f"{len(self.keywords)} keywords"
            )


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
    head = build_head(
        config.head,
        cut.info.dimension,
        len(config.keywords),
        config.pronunciations,
        config.readings,
        config.columns,
        encoder.layers[config.depth : config.depth + config.head_layers],
    )
    return WakeWordModel(cut, head, config.keywords)
