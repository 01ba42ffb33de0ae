"""Block ``attention``: causal self-attention over a window of the past, for a hybrid with convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.encoders.blocks.base import ResidualBlock
from kws.structs import StreamState


class AttentionBlock(ResidualBlock):
    """Residual multi-head self-attention over a frame and a bounded number of frames before it.

        keys      . a b c | d e        cached | new; left = 3
        frame d     ^^^^^^^^
        frame e       ^^^^^^^^         each sees 3 frames back, however the stream is cut

    It has no inner layer of its own: the convolution blocks around it have. How far back a key lies is
    subtracted from its logit with a slope per head, so nothing is learnt of position.
    Source: layer norm and cached keys and values as in Emformer, Shi et al., arXiv:2010.10759; the slopes are
    ALiBi, Press et al., arXiv:2108.12409.

    State: keys and values of the last ``left`` frames (batch, left, 2 * features), how many of these were
    heard (batch, 1), and with a look-ahead the frames that wait (batch, lookahead, features).

    Args:
        features: features per frame.
        heads: parts of the features that attend by themselves; divides ``features``.
        left: frames before its own that a frame sees, at least ``lookahead``.
        drop: see :class:`ResidualBlock`.
        lookahead: see :class:`ResidualBlock`.
    """

    def __init__(self, features: int, heads: int, left: int, drop: float = 0.0, lookahead: int = 0) -> None:
        super().__init__(drop, lookahead)
        self.features, self.heads, self.left = features, heads, left
        self.num_states = 3 if lookahead else 2
        self.memory_frames = left
        self.norm = nn.LayerNorm(features)
        self.query = nn.Linear(features, features)
        self.key_value = nn.Linear(features, 2 * features)
        self.project = nn.Linear(features, features)
        self.slopes: Tensor
        slopes = torch.exp2(-8 / heads * torch.arange(1, heads + 1))  # 1/4, 1/16, ... for four heads
        self.register_buffer("slopes", slopes[:, None, None], persistent=False)  # (head, 1, 1)

    def initial_state(self, batch: int) -> StreamState:
        """Return zeros: no frame was heard."""
        zeros = self.norm.weight.new_zeros
        cache = [zeros(batch, self.left, 2 * self.features), zeros(batch, 1)]
        return [*cache, zeros(batch, self.lookahead, self.features)] if self.lookahead else cache

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`ResidualBlock.forward`."""
        time = features.shape[1]
        keys_values, heard, *waiting = state
        joined = torch.cat([*waiting, features], dim=1)  # (batch, lookahead + time, feature)
        normed = self.norm(joined)
        query = self._by_head(self.query(normed[:, :time]))
        keys_values = torch.cat([keys_values, self.key_value(normed[:, self.lookahead :])], dim=1)
        keys, values = (self._by_head(part) for part in keys_values.chunk(2, dim=2))
        logits = query @ keys.transpose(2, 3) * query.shape[3] ** -0.5
        weights = (logits + self._bias(time, heard)).softmax(dim=3)  # (batch, head, time, left + time)
        attended = (weights @ values).transpose(1, 2).flatten(2)  # (batch, time, feature)
        output = self.add(joined[:, :time], self.project(attended))
        cache = [keys_values[:, -self.left :], (heard + time).clamp(max=self.left)]
        return output, [*cache, joined[:, -self.lookahead :]] if self.lookahead else cache

    def _by_head(self, frames: Tensor) -> Tensor:
        """(batch, time, feature) to (batch, head, time, feature / heads)."""
        return torch.unflatten(frames, 2, (self.heads, -1)).transpose(1, 2)

    def _bias(self, time: int, heard: Tensor) -> Tensor:
        """Return (batch, head, time, left + time): minus slope times distance, or minus infinity."""
        key = torch.arange(self.left + time, device=heard.device)
        back = torch.arange(time, device=heard.device)[:, None] + self.left - key  # (time, left + time)
        unheard = (key < self.left - heard)[:, None]  # (batch, 1, left + time)
        outside = (back < 0) | (back > self.left) | unheard  # (batch, time, left + time)
        distance = (back - self.lookahead).abs()  # the frame that is asked for has waited
        return (-self.slopes * distance).masked_fill(outside[:, None], -torch.inf)
