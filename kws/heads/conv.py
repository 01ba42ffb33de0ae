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

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        hidden, first = self.first(torch.relu(self.project(self.norm(features))), state[0])
        hidden, second = self.second(torch.relu(hidden), state[1])
        return self.output(self.dropout(torch.relu(hidden))), [first, second]
