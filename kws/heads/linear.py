"""Head ``linear``: one logit from each frame alone."""

from __future__ import annotations

from torch import Tensor, nn

from kws.heads.base import Head
from kws.structs import StreamState


class LinearHead(Head):
    """Layer norm and one linear layer; all memory of the word must lie in the encoder.

    Args:
        dimension: features per frame.
        num_keywords: outputs per frame.
    """

    def __init__(self, dimension: int, num_keywords: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)
        self.output = nn.Linear(dimension, num_keywords)

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        return self.output(self.norm(features)), state
