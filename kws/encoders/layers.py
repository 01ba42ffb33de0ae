"""Causal building blocks with explicit state, shared by the embedded encoder and the heads.

Each takes (batch, time, feature) and the state of the stream, and returns the output and the next state, so
that the whole utterance and the 80 ms chunk walk the same code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StridedStack(nn.Module):
    """Causal strided convolution of kernel ``2 * stride`` as one matrix product over stacked frames.

        frames   … a b | c d | e f      stride 2
        output          ^(a b c d)  ^(c d e f)

    State: (batch, stride, in_features), the last group of frames.
    """

    def __init__(self, in_features: int, out_features: int, stride: int) -> None:
        super().__init__()
        self.stride, self.in_features = stride, in_features
        self.linear = nn.Linear(2 * stride * in_features, out_features)

    def initial_state(self, batch: int) -> Tensor:
        """Return the zero state."""
        return self.linear.weight.new_zeros(batch, self.stride, self.in_features)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, stride * n, in_features) to (batch, n, out_features)."""
        joined = torch.cat([state, features], dim=1)
        groups = joined.reshape(
            features.shape[0], -1, self.stride * self.in_features
        )  # (batch, n + 1, stride * in)
        stacked = torch.cat([groups[:, :-1], groups[:, 1:]], dim=2)
        return self.linear(stacked), joined[:, -self.stride :]


class CausalConv(nn.Module):
    """Causal one-dimensional convolution over time; state (batch, (kernel - 1) * dilation, in_features)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.history = (kernel - 1) * dilation
        self.in_features = in_features
        self.conv = nn.Conv1d(in_features, out_features, kernel, dilation=dilation, groups=groups, bias=bias)

    def initial_state(self, batch: int) -> Tensor:
        """Return the zero state."""
        return self.conv.weight.new_zeros(batch, self.history, self.in_features)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time, in_features) to (batch, time, out_features)."""
        joined = torch.cat([state, features], dim=1)
        output = self.conv(joined.transpose(1, 2)).transpose(1, 2)
        return output, joined[:, -self.history :] if self.history else state
