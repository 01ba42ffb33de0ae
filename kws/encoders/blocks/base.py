"""The contract of a block of the embedded encoder: frames in, as many frames out, with explicit state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from kws.structs import StreamState


class ResidualBlock(nn.Module, ABC):
    """A branch beside the identity; subclasses give what raises here.

    In training the whole branch is left out for a row with probability ``drop`` (stochastic depth, Huang et
    al., arXiv:1603.09382).

    With ``lookahead`` the identity waits so many frames for the branch, so output t is about frame
    ``t - lookahead`` and has seen as many frames after it; no output depends on what comes after t.

    Attributes:
        num_states: tensors that :meth:`initial_state` returns.
        memory_frames: how many past frames an output depends on beyond its own (an upper bound).

    Args:
        drop: probability in [0, 1).
        lookahead: frames.
    """

    num_states: int = 1
    memory_frames: int

    def __init__(self, drop: float, lookahead: int) -> None:
        super().__init__()
        self.drop, self.lookahead = drop, lookahead

    @abstractmethod
    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of a new stream: nothing was heard yet."""

    @abstractmethod
    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Map the next frames of a stream.

        Args:
            features: (batch, time, feature).
            state: what the last call returned, or :meth:`initial_state`.
        Returns:
            (batch, time, feature) and the next state.
        """

    def add(self, waited: Tensor, branch: Tensor) -> Tensor:
        """Return identity plus branch, both (batch, time, feature)."""
        if self.training and self.drop:
            keep = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.drop
            branch = branch * (keep / (1 - self.drop)).to(branch)
        return waited + branch


def run_blocks(
    blocks: Iterable[nn.Module], features: Tensor, state: StreamState
) -> tuple[Tensor, StreamState]:
    """Map the next frames of a stream through blocks, one after the other.

    Args:
        blocks: each a :class:`ResidualBlock`.
        features: (batch, time, feature).
        state: the tensors of the first block, then those of the next, and so on.
    Returns:
        (batch, time, feature) and the next state.
    """
    next_state: StreamState = []
    for block in blocks:
        assert isinstance(block, ResidualBlock)
        first = len(next_state)
        features, after = block(features, state[first : first + block.num_states])
        next_state += after
    assert len(next_state) == len(state)
    return features, next_state


def initial_states(blocks: Iterable[nn.Module], batch: int) -> StreamState:
    """Return the zero states of blocks as :func:`run_blocks` takes them."""
    return [tensor for block in blocks for tensor in block.initial_state(batch)]  # type: ignore[operator]
