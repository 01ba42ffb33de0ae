"""How each phone is made in the mouth, and vectors of a fixed length for phone sequences made of that.

Two words are near each other when their phones are made alike, in the same order: words that were never
heard have a place among those that were. Source: articulatory features of the International Phonetic
Alphabet; attributes as the embedding of unseen classes, Akata et al., arXiv:1503.08677; pooling by position,
Almazán et al., IEEE TPAMI 2014.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from kws.phones import PHONES, encode

_MADE: dict[str, str] = {
    "AA": "vowel low back voiced tense",
    "AE": "vowel low front voiced",
    "AH": "vowel mid central voiced",
    "AO": "vowel mid back rounded voiced tense",
    "AW": "vowel low central rising-back voiced tense",
    "AY": "vowel low central rising-front voiced tense",
    "B": "plosive labial voiced",
    "CH": "plosive fricative sibilant postalveolar",
    "D": "plosive alveolar voiced",
    "DH": "fricative dental voiced",
    "EH": "vowel mid front voiced",
    "ER": "vowel mid central rhotic voiced",
    "EY": "vowel mid front rising-front voiced tense",
    "F": "fricative labial dental",
    "G": "plosive velar voiced",
    "HH": "fricative glottal",
    "IH": "vowel high front voiced",
    "IY": "vowel high front voiced tense",
    "JH": "plosive fricative sibilant postalveolar voiced",
    "K": "plosive velar",
    "L": "approximant lateral alveolar voiced",
    "M": "nasal labial voiced",
    "N": "nasal alveolar voiced",
    "NG": "nasal velar voiced",
    "OW": "vowel mid back rounded rising-back voiced tense",
    "OY": "vowel mid back rounded rising-front voiced tense",
    "P": "plosive labial",
    "R": "approximant rhotic postalveolar voiced",
    "S": "fricative sibilant alveolar",
    "SH": "fricative sibilant postalveolar",
    "T": "plosive alveolar",
    "TH": "fricative dental",
    "UH": "vowel high back rounded voiced",
    "UW": "vowel high back rounded voiced tense",
    "V": "fricative labial dental voiced",
    "W": "approximant labial velar rounded voiced",
    "Y": "approximant high front palatal voiced",
    "Z": "fricative sibilant alveolar voiced",
    "ZH": "fricative sibilant postalveolar voiced",
}
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
