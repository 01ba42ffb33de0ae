"""Head ``conv``, the default: two causal temporal convolutions that together see about a second."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.encoders.layers import CausalConv
from kws.heads.base import Head
from kws.structs import StreamState

CHANNELS = 64
KERNEL = 9
DILATION = 2
"""Kernel 9, then kernel 9 with dilation 2: 1 + 8 + 16 = 25 frames, one second at 40 ms a frame."""


class ConvHead(Head):
    """Projection to 64 channels, a causal convolution, a dilated one, and a linear output.

    Args:
        dimension: features per frame.
        num_keywords: outputs per frame.
    """

    memory_frames = (KERNEL - 1) * (1 + DILATION)

    def __init__(self, dimension: int, num_keywords: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)
        self.project = nn.Linear(dimension, CHANNELS)
        self.first = CausalConv(CHANNELS, CHANNELS, KERNEL)
        self.second = CausalConv(CHANNELS, CHANNELS, KERNEL, dilation=DILATION)
        self.dropout = nn.Dropout(0.1)
        self.output = nn.Linear(CHANNELS, num_keywords)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of both convolutions."""
        return [self.first.initial_state(batch), self.second.initial_state(batch)]

    @property
    def layers(self) -> tuple[CausalConv, CausalConv]:
        """The convolutions, lower first; a rectifier follows each."""
        return self.first, self.second

    def enter(self, features: Tensor) -> Tensor:
        """Map (batch, time, feature) to the (batch, time, channel) that the first convolution takes."""
        return torch.relu(self.project(self.norm(features)))

    def leave(self, hidden: Tensor) -> Tensor:
        """Map what follows the last rectifier to logits."""
        logits: Tensor = self.output(self.dropout(hidden))
        return logits

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        hidden, next_state = self.enter(features), []
        for layer, before in zip(self.layers, state, strict=True):
            hidden, after = layer(hidden, before)
            hidden = torch.relu(hidden)
            next_state.append(after)
        return self.leave(hidden), next_state
