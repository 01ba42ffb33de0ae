"""A trained head and, beside it on the same encoder layers, the typed phrase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from kws.heads.base import Head
from kws.heads.phrase_window import PhraseWindowHead, PhraseWindowOptions
from kws.structs import StreamState


@dataclass(frozen=True, slots=True)
class EnsembleOptions(PhraseWindowOptions):
    """Options of head ``ensemble``."""

    trained: str = "conv"
    """Name of the trained head."""
    trained_options: dict[str, Any] = field(default_factory=dict)
    """Its options."""


class EnsembleHead(PhraseWindowHead):
    """:class:`PhraseWindowHead` and a trained head, whose mean is the logit.

    The one has heard many synthetic voices and reads phones, the other the recordings of real people, noise
    and rooms: they go wrong in different places, so that their mean misses less than either. Made by
    ``kws enroll --ensemble``; nothing to choose with ``--head``.

    Args:
        dimension: features per encoder frame.
        pronunciations: of each keyword one or more, as ARPAbet phones between spaces.
        blocks: encoder layers above the phones; the window and the trained head are on the last.
        trained: takes the encoder's dimension and has as many outputs as there are keywords.
    Raises:
        ManifestError: a phone is unknown.
    """

    def __init__(
        self,
        dimension: int,
        pronunciations: Sequence[Sequence[str]],
        blocks: Iterable[nn.Module],
        trained: Head,
    ) -> None:
        super().__init__(dimension, pronunciations, blocks)
        self.trained = trained
        self._typed_states = len(super().initial_state(1))

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the typed phrase, then of the trained head."""
        return [*super().initial_state(batch), *self.trained.initial_state(batch)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        seen, phones, features, typed = self.climb(features, state[: self._typed_states])
        logits, trained = self.trained(features, state[self._typed_states :])
        return (logits + self.fuse(seen, phones)) / 2, [*typed, *trained]
