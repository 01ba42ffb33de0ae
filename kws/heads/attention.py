"""Head ``attention``: each keyword attends over the last second and a half with a learned query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.encoders.layers import CausalConv
from kws.heads.base import Head
from kws.structs import StreamState

CHANNELS = 64
WINDOW_FRAMES = 38  # 1.5 s at 40 ms a frame
LOCAL_KERNEL = 5
MASKED = -1e4
"""Attention logit of a frame before the start of the stream."""


class AttentionHead(Head):
    """Windowed attention pooling with one query and a learned position bias per keyword.

    Args:
        dimension: features per frame.
        num_keywords: outputs per frame.
    Source: attention pooling for keyword spotting, Shan et al., arXiv:1803.10916; here over a sliding window.
    """

    memory_frames = WINDOW_FRAMES - 1 + LOCAL_KERNEL - 1

    def __init__(self, dimension: int, num_keywords: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)
        self.project = nn.Linear(dimension, CHANNELS)
        self.local = CausalConv(CHANNELS, CHANNELS, LOCAL_KERNEL)
        self.query = nn.Linear(CHANNELS, num_keywords, bias=False)
        self.position = nn.Parameter(torch.zeros(num_keywords, WINDOW_FRAMES))
        self.value = nn.Linear(CHANNELS, CHANNELS)
        self.output = nn.Parameter(torch.randn(num_keywords, 2 * CHANNELS) * CHANNELS**-0.5)
        self.bias = nn.Parameter(torch.zeros(num_keywords))

    def initial_state(self, batch: int) -> StreamState:
        """Zero states: the local convolution, the window of hidden frames, and which of them are real."""
        hidden = self.bias.new_zeros(batch, WINDOW_FRAMES - 1, CHANNELS)
        return [self.local.initial_state(batch), hidden, self.bias.new_zeros(batch, WINDOW_FRAMES - 1, 1)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        hidden, local = self.local(torch.relu(self.project(self.norm(features))), state[0])
        hidden = torch.relu(hidden)
        history = torch.cat([state[1], hidden], dim=1)
        real = torch.cat([state[2], torch.ones_like(hidden[:, :, :1])], dim=1)
        logits = self.query(history) + (1 - real) * MASKED  # (batch, window - 1 + time, keyword)
        windows = logits.unfold(1, WINDOW_FRAMES, 1) + self.position  # (batch, time, keyword, window)
        weights = windows.softmax(dim=3)
        values = self.value(history).unfold(1, WINDOW_FRAMES, 1)  # (batch, time, channel, window)
        pooled = torch.einsum("btkw,btcw->btkc", weights, values)
        current = hidden[:, :, None, :].expand(-1, -1, pooled.shape[2], -1)
        score = (torch.cat([torch.relu(pooled), current], dim=3) * self.output).sum(dim=3) + self.bias
        keep = WINDOW_FRAMES - 1
        return score, [local, history[:, -keep:], real[:, -keep:]]
