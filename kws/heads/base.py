"""The contract of a keyword head: frames in, one logit per frame and keyword out, with explicit state."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from kws.structs import StreamState


class Head(nn.Module, ABC):
    """Newly initialised layers on top of a truncated encoder.

    Attributes:
        memory_frames: how many past frames a logit depends on beyond its own (an upper bound; 0 for none).
    """

    memory_frames: int = 0

    @property
    def finished(self) -> tuple[nn.Module, ...]:
        """Parts that were trained before and never move again."""
        return ()

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of a new stream."""
        return []

    @abstractmethod
    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Score the next frames of a stream.

        Args:
            features: (batch, time, feature).
            state: what the last call returned, or :meth:`initial_state`.
        Returns:
            logits (batch, time, keyword) and the next state.
        """
