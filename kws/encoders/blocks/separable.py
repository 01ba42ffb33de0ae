"""Block ``separable``: the causal separable convolution that the shipped encoder is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.encoders.blocks.base import ResidualBlock
from kws.encoders.layers import CausalConv
from kws.structs import StreamState


class SeparableBlock(ResidualBlock):
    """Residual causal block: depthwise convolution, layer norm, then a pointwise expansion and projection.

    The order is that of ConvNeXt (Liu et al., arXiv:2201.03545), made causal in time; layer norm instead of
    batch norm keeps a row independent of its batch and a frozen block free of running statistics.

    Args:
        features: features per frame.
        kernel: frames that the convolution sees, at least ``lookahead + 1``.
        expansion: width of the inner layer, as a multiple of ``features``.
        drop: see :class:`ResidualBlock`.
        lookahead: see :class:`ResidualBlock`.
    """

    def __init__(
        self, features: int, kernel: int, expansion: int, drop: float = 0.0, lookahead: int = 0
    ) -> None:
        super().__init__(drop, lookahead)
        width = self.inner_width(features, expansion)
        self.depthwise = CausalConv(features, features, kernel, groups=features)
        self.norm = nn.LayerNorm(features)
        self.expand = nn.Linear(features, width)
        self.project = nn.Linear(width, features)
        self.memory_frames = self.depthwise.history

    @staticmethod
    def inner_width(features: int, expansion: int) -> int:
        """Return the width of the inner layer."""
        return expansion * features

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of the depthwise convolution."""
        return [self.depthwise.initial_state(batch)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`ResidualBlock.forward`."""
        waited, mixed, past = self.convolve(features, state[0])
        return self.add(waited, self.inner(mixed)), [past]

    def convolve(self, features: Tensor, past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the identity, the convolved and normed frames, and the next state of the convolution."""
        waited = features
        if self.lookahead:
            first = self.depthwise.history - self.lookahead
            waited = torch.cat([past, features], dim=1)[:, first : -self.lookahead]
        mixed, past = self.depthwise(features, past)
        return waited, self.norm(mixed), past

    def inner(self, mixed: Tensor) -> Tensor:
        """Map each frame (batch, time, feature) by itself."""
        mapped: Tensor = self.project(torch.relu(self.expand(mixed)))
        return mapped
