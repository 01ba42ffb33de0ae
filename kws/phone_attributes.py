"""Vectors of a fixed length for phone sequences, of how each phone is made in the mouth.

Two words are near each other when their phones are made alike, in the same order: words that were never
heard have a place among those that were. Sources: attributes as the embedding of unseen classes, Akata et
al., arXiv:1503.08677; pooling by position, Almazán et al., IEEE TPAMI 2014.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from kws.phone_table import PHONE_TABLE
from kws.phones import PHONES, encode

_MADE = {phone: row.made for phone, row in PHONE_TABLE.items()}
ATTRIBUTES = tuple(sorted({attribute for made in _MADE.values() for attribute in made.split()}))
SEGMENTS = 4
"""A word is described in so many parts of equal length."""
DIMENSION = SEGMENTS * len(ATTRIBUTES)
"""Values of :func:`embed`."""


@cache
def _table() -> Tensor:
    """Return (phone, attribute) in the order of ``PHONES``, less the mean over phones."""
    rows = [[float(attribute in _MADE[phone].split()) for attribute in ATTRIBUTES] for phone in PHONES]
    table = torch.tensor(rows)
    return table - table.mean(0)


@cache
def segment_means(num_items: int) -> Tensor:
    """Return (SEGMENTS, num_items) weights that average equal parts of a row of items; each row sums to 1.

    An item that lies in two parts counts in each by the share that lies there. The tensor is shared: do not
    write to it.
    """
    starts = torch.arange(num_items) / num_items
    edges = torch.arange(SEGMENTS + 1) / SEGMENTS
    inside = torch.minimum(starts + 1 / num_items, edges[1:, None]) - torch.maximum(starts, edges[:-1, None])
    return inside.clamp(min=0) * SEGMENTS


@cache
def embed(spoken: str) -> Tensor:
    """Return the (DIMENSION,) vector of length 1 of a phone sequence, shared: do not write to it.

    Args:
        spoken: ARPAbet phones between spaces.
    Raises:
        ManifestError: a phone is unknown.
    """
    made = _table()[torch.tensor(encode(spoken)) - 1]
    return torch.nn.functional.normalize((segment_means(len(made)) @ made).flatten(), dim=0)
