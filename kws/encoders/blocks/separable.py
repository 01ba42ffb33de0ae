"""Block ``separable``: the causal separable convolution that the shipped encoder is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.encoders.layers import CausalConv


class SeparableBlock(nn.Module):
    """Residual causal block: depthwise convolution, layer norm, then a pointwise expansion and projection.

    The order is that of ConvNeXt (Liu et al., arXiv:2201.03545), made causal in time; layer norm instead of
    batch norm keeps a row independent of its batch and a frozen block free of running statistics. In training
    the whole branch is left out for a row with probability ``drop`` (stochastic depth, Huang et al.,
    arXiv:1603.09382).

    With ``lookahead`` the residual waits so many frames for the convolution, so output t is about frame
    ``t - lookahead`` and has seen as many frames after it; no output depends on what comes after t.

    Args:
        features: features per frame.
        kernel: frames that the convolution sees, at least ``lookahead + 1``.
        expansion: width of the inner layer, as a multiple of ``features``.
        drop: probability in [0, 1).
        lookahead: frames.
    """

    def __init__(
        self, features: int, kernel: int, expansion: int, drop: float = 0.0, lookahead: int = 0
    ) -> None:
        super().__init__()
        self.depthwise = CausalConv(features, features, kernel, groups=features)
        self.norm = nn.LayerNorm(features)
        self.expand = nn.Linear(features, expansion * features)
        self.project = nn.Linear(expansion * features, features)
        self.drop, self.lookahead = drop, lookahead

    def initial_state(self, batch: int) -> Tensor:
        """Return the zero state of the depthwise convolution."""
        return self.depthwise.initial_state(batch)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time, feature) to the same shape."""
        waited = features
        if self.lookahead:
            first = self.depthwise.history - self.lookahead
            waited = torch.cat([state, features], dim=1)[:, first : -self.lookahead]
        mixed, state = self.depthwise(features, state)
        mixed = self.project(torch.relu(self.expand(self.norm(mixed))))
        if self.training and self.drop:
            keep = torch.rand(features.shape[0], 1, 1, device=features.device) >= self.drop
            mixed = mixed * (keep / (1 - self.drop)).to(mixed)
        return waited + mixed, state
