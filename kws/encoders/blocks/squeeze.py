"""Block ``squeeze``: the separable block whose channels are scaled by what was heard lately."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kws.encoders.blocks.separable import SeparableBlock
from kws.structs import StreamState

REDUCTION = 8
"""Features per unit of the bottleneck. Hu et al. (arXiv:1709.01507, their ratios r) found 4 to 16 alike."""
FORGOTTEN = 1e-4
"""Weight in a running mean, relative to that of the newest frame, below which a frame is no longer counted as
memory: what it adds to an output of an encoder with random weights is below 1e-5 (tests)."""


class RunningMean(nn.Module):
    """Exponentially weighted mean of all frames so far; of a single frame, that frame.

    State: (batch, 1, features + 1), the weighted sum of the frames and of ones; zeros say that none was
    heard.

    Args:
        features: features per frame.
        frames: time constant; each frame weighs ``1 - 1 / frames`` of the next.
    """

    def __init__(self, features: int, frames: int) -> None:
        super().__init__()
        self.features, self.decay = features, 1 - 1 / frames

    @property
    def memory_frames(self) -> int:
        """Past frames that weigh at least :data:`FORGOTTEN` of the newest."""
        return math.ceil(math.log(FORGOTTEN) / math.log(self.decay)) if self.decay else 0

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, time, feature) to the mean at each frame, of the same shape."""
        counted = nn.functional.pad(features, (0, 1), value=1.0)
        joined = torch.cat([state, counted], dim=1)  # (batch, 1 + time, feature + 1)
        # row t: how much the sum so far and frames 0 to t weigh at frame t
        newest = torch.arange(1, joined.shape[1], device=features.device)
        age = newest[:, None] - torch.arange(joined.shape[1], device=features.device)
        weights = torch.where(age >= 0, self.decay ** age.clamp(min=0), 0.0)
        sums = weights.to(joined) @ joined
        return sums[:, :, :-1] / sums[:, :, -1:], sums[:, -1:]


class SqueezeBlock(SeparableBlock):
    """Separable block whose branch is scaled, channel by channel, by a factor in (0, 1) made from its mean.

    The mean is over all frames so far, the latest weighing most, so that the block streams.
    Source: squeeze-and-excitation, Hu et al., arXiv:1709.01507, without biases as in their equation 3; over
    the time of an utterance ContextNet, Han et al., arXiv:2005.03191.

    Args:
        features: features per frame.
        kernel: see :class:`SeparableBlock`.
        expansion: see :class:`SeparableBlock`.
        drop: see :class:`ResidualBlock`.
        lookahead: see :class:`ResidualBlock`.
        frames: time constant of the mean.
    """

    num_states = 2

    def __init__(
        self,
        features: int,
        kernel: int,
        expansion: int,
        drop: float = 0.0,
        lookahead: int = 0,
        *,
        frames: int,
    ) -> None:
        super().__init__(features, kernel, expansion, drop, lookahead)
        self.mean = RunningMean(features, frames)
        self.squeeze = nn.Linear(features, max(1, features // REDUCTION), bias=False)
        self.excite = nn.Linear(max(1, features // REDUCTION), features, bias=False)
        self.memory_frames += self.mean.memory_frames

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the depthwise convolution and of the mean."""
        mean = self.squeeze.weight.new_zeros(batch, 1, self.mean.features + 1)
        return [*super().initial_state(batch), mean]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`ResidualBlock.forward`."""
        waited, mixed, past = self.convolve(features, state[0])
        branch = self.inner(mixed)
        mean, sums = self.mean(branch, state[1])
        factor = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))
        return self.add(waited, factor * branch), [past, sums]
