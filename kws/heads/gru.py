"""Head ``gru``: a gated recurrent unit, whose memory has no fixed end."""

from __future__ import annotations

from torch import Tensor, nn

from kws.heads.base import Head
from kws.structs import StreamState

HIDDEN = 64


class GruHead(Head):
    """Layer norm, one GRU layer of 64 units and a linear output.

    Args:
        dimension: features per frame.
        num_keywords: outputs per frame.
    """

    memory_frames = 75  # three seconds; the gates forget what lies further back
    hidden = HIDDEN

    def __init__(self, dimension: int, num_keywords: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)
        self.recurrent = nn.GRU(dimension, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, num_keywords)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero hidden state (batch, 1, 64)."""
        return [self.output.weight.new_zeros(batch, 1, HIDDEN)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        hidden, last = self.recurrent(self.norm(features), state[0].transpose(0, 1).contiguous())
        return self.output(hidden), [last.transpose(0, 1)]
