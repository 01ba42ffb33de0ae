"""Stems of the embedded encoder: 10 ms log-mel frames to 40 ms frames, in two causal steps of stride 2.

Both take (batch, 4 * n, mel) and two state tensors, and return (batch, n, dimension) and the next two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.encoders.layers import StridedStack
from kws.structs import StreamState


class StackedStem(nn.Module):
    """Each step is one matrix product over four stacked frames, all mel bands at once."""

    def __init__(self, num_mels: int, dimension: int) -> None:
        super().__init__()
        self.first = StridedStack(num_mels, dimension, 2)
        self.first_norm = nn.LayerNorm(dimension)
        self.second = StridedStack(dimension, dimension, 2)
        self.second_norm = nn.LayerNorm(dimension)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of both steps."""
        return [self.first.initial_state(batch), self.second.initial_state(batch)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """(batch, 4 * n, mel) to (batch, n, dimension)."""
        features, first = self.first(features, state[0])
        features, second = self.second(torch.relu(self.first_norm(features)), state[1])
        return self.second_norm(features), [first, second]


class Conv2dStem(nn.Module):
    """Each step is a convolution over time and mel bands, which halves both.

    A filter is the same for all bands, so that a voice whose formants lie elsewhere is not a new voice.
    Source: convolutional subsampling, Dong et al. (Speech-Transformer), ICASSP 2018.

    Args:
        num_mels: bands of the front end, a multiple of 4.
        dimension: features per 40 ms frame.
        channels: filters of each of the two steps.
    """

    KERNEL = (4, 5)
    """Frames and bands that a filter sees: with stride 2 the same frames as those of :class:`StackedStem`."""

    def __init__(self, num_mels: int, dimension: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        sizes, bands = (1, *channels), num_mels
        self.convs = nn.ModuleList()
        self.shapes: list[tuple[int, int]] = []
        for before, after in zip(sizes, channels, strict=False):
            self.convs.append(
                nn.Conv2d(before, after, self.KERNEL, stride=2, padding=(0, self.KERNEL[1] // 2))
            )
            self.shapes.append((before, bands))
            bands //= 2
        self.linear = nn.Linear(sizes[-1] * bands, dimension)
        self.norm = nn.LayerNorm(dimension)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of both steps: the two frames before, bands and channels side by side."""
        return [self.norm.weight.new_zeros(batch, 2, channels * bands) for channels, bands in self.shapes]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """(batch, 4 * n, mel) to (batch, n, dimension)."""
        next_state = []
        for conv, shape, before in zip(self.convs, self.shapes, state, strict=True):
            joined = torch.cat([before, features], dim=1)  # (batch, 2 + time, channel * band)
            next_state.append(joined[:, -2:])
            # (batch, channel, 2 + time, band)
            picture = joined[:, None] if shape[0] == 1 else torch.unflatten(joined, 2, shape).transpose(1, 2)
            features = (
                torch.relu(conv(picture)).transpose(1, 2).flatten(2)
            )  # (batch, time / 2, channel * band)
        return self.norm(self.linear(features)), next_state
