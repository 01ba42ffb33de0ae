"""Head ``phrase_window``: a layer fitted to examples of a phrase, and its phones, beside it and alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.encoders.blocks.base import initial_states, run_blocks
from kws.heads.base import Head
from kws.heads.phrase import PhraseHead, TypedOptions
from kws.heads.window import WindowHead
from kws.structs import StreamState

HELD_FRAMES = 7
"""The phones' best of so many frames counts: both do not fire in the same frame."""
FLOOR = -20.0
"""A phones' logit below this counts as this, so that a zero state is a cold start."""


def held(logits: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the best of the last :data:`HELD_FRAMES` frames.

    Args:
        logits: (batch, time, keyword).
        before: (batch, HELD_FRAMES - 1, keyword), what the last call returned; None is zeros, a cold start.
    Returns:
        (batch, time, keyword), at least :data:`FLOOR`, and the next state.
    """
    if before is None:
        before = logits.new_zeros(logits.shape[0], HELD_FRAMES - 1, logits.shape[2])
    above = torch.cat([before, (logits - FLOOR).clamp(min=0.0)], dim=1)
    best = nn.functional.max_pool1d(above.transpose(1, 2), HELD_FRAMES, stride=1).transpose(1, 2)
    return best + FLOOR, above[:, above.shape[1] - (HELD_FRAMES - 1) :]


def ways(seen: Tensor, phones: Tensor) -> tuple[Tensor, Tensor]:
    """Return both logits that may fire: the sum of the window and the held phones, and the phones alone."""
    return seen + phones, phones


@dataclass(frozen=True, slots=True)
class PhraseWindowOptions(TypedOptions):
    """Options of head ``phrase_window``."""

    layers: int = 0
    """Encoder layers between the phones and the window."""

    @property
    def num_layers(self) -> int:
        """See :attr:`HeadOptions.num_layers`."""
        return self.layers


class PhraseWindowHead(Head):
    """:class:`WindowHead` with :class:`PhraseHead` some layers lower added, or that alone where it is surer.

    What the recogniser reads and what a layer fitted to examples sees go wrong in different places: the one
    in noise, the other where a voice or a pace is unlike the examples, so their sum misses less than either.
    Within a sentence a phrase is nothing like the examples, which are spoken alone: there the phones are to
    be heard without the layer. :func:`kws.enrollment.examples.calibrate` brings both ways to one scale.

    Args:
        dimension: features per encoder frame.
        pronunciations: of each keyword one or more, as ARPAbet phones between spaces.
        blocks: encoder layers between both.
    Attributes:
        scale, offset: (2, keyword), of the sum and of the phones alone.
    Raises:
        ManifestError: a phone is unknown.
    """

    def __init__(
        self, dimension: int, pronunciations: Sequence[Sequence[str]], blocks: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.phrase = PhraseHead(dimension, pronunciations)
        self.blocks = nn.ModuleList(blocks)
        self.window = WindowHead(dimension, len(pronunciations))
        self.scale: Tensor
        self.offset: Tensor
        self.register_buffer("scale", torch.ones(2, len(pronunciations)))
        self.register_buffer("offset", torch.zeros(2, len(pronunciations)))

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the held phones, of the search, of the layers and of the window."""
        num_keywords = self.window.output.conv.out_channels
        kept = torch.zeros(batch, HELD_FRAMES - 1, num_keywords)
        layers = initial_states(self.blocks, batch)
        return [kept, *self.phrase.initial_state(batch), *layers, *self.window.initial_state(batch)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        seen, phones, next_state = self.hear(features, state)
        return self.fuse(seen, phones), next_state

    def hear(self, features: Tensor, state: StreamState) -> tuple[Tensor, Tensor, StreamState]:
        """Return (batch, time, keyword) logits of the window and of the held phones, and the next state."""
        seen, phones, _, next_state = self.climb(features, state)
        return seen, phones, next_state

    def climb(self, features: Tensor, state: StreamState) -> tuple[Tensor, Tensor, Tensor, StreamState]:
        """Return as :meth:`hear`, and before the state the (batch, time, feature) of the last layer."""
        phones, paths = self.phrase(features, state[1:2])
        phones, kept = held(phones, state[0])
        features, layers = run_blocks(self.blocks, features, state[2:-1])
        seen, past = self.window(features, state[-1:])
        return seen, phones, features, [kept, *paths, *layers, *past]

    def fuse(self, seen: Tensor, phones: Tensor) -> Tensor:
        """Return the logits that follow from those of the window and of the held phones, (..., keyword)."""
        both, alone = ways(seen, phones)
        return torch.maximum(both * self.scale[0] + self.offset[0], alone * self.scale[1] + self.offset[1])
