"""Head ``window``: one linear layer over the frames of about a second."""

from __future__ import annotations

from torch import Tensor, nn

from kws.encoders.layers import CausalConv
from kws.heads.base import Head
from kws.structs import StreamState

NUM_FRAMES, STRIDE = 13, 2
"""Every second frame of the embedded encoder, over a second."""


class WindowHead(Head):
    """One linear layer over some of the last frames, each brought to mean 0 and deviation 1.

    Args:
        dimension: features per frame.
        num_keywords: outputs per frame.
        num_frames: frames that it sees.
        stride: it sees the last frame and every so many-th before it.
    """

    def __init__(
        self, dimension: int, num_keywords: int, num_frames: int = NUM_FRAMES, stride: int = STRIDE
    ) -> None:
        super().__init__()
        self.memory_frames = (num_frames - 1) * stride
        self.norm = nn.LayerNorm(dimension, elementwise_affine=False)
        self.output = CausalConv(dimension, num_keywords, num_frames, dilation=stride)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of the convolution."""
        return [self.output.initial_state(batch)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        logits, past = self.output(self.norm(features), state[0])
        return logits, [past]
