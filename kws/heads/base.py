"""The contract of a keyword head: frames in, one logit per frame and keyword out, with explicit state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from kws.structs import StreamState


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What a head is made of beside its input and its number of keywords: nothing, for most.

    A head with options derives a class from this one and lists it in :data:`kws.heads.OPTIONS`.
    """

    @property
    def num_layers(self) -> int:
        """Encoder layers above the depth of the model that belong to the head."""
        return 0

    def check(self, num_keywords: int) -> None:
        """Refuse options that do not fit the number of keywords.

        Raises:
            ConfigError: naming the key.
        """


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
