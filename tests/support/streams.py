"""A head fed piece by piece, as a device feeds it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kws.heads import Head


@torch.no_grad()
def in_pieces(head: Head, features: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the logits of (batch, time, feature) that come in pieces of these sizes."""
    state, pieces = head.initial_state(len(features)), []
    for piece in features.split(list(sizes), dim=1):
        logits, state = head(piece, state)
        pieces.append(logits)
    return torch.cat(pieces, dim=1)
