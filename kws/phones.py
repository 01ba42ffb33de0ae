"""The phone inventory of the embedded recogniser: 39 ARPAbet symbols without stress, and the CTC blank.

Outputs that a recogniser has beside it for other languages have inventories of their own, of any symbols.
"""

from __future__ import annotations

from collections.abc import Sequence

from kws.errors import ManifestError
from kws.phone_table import PHONE_TABLE

BLANK = 0
"""Index of the CTC blank among the recogniser's outputs."""

PHONES = tuple(PHONE_TABLE)
"""Output ``i + 1`` of the recogniser is ``PHONES[i]``; the symbols of the CMU Pronouncing Dictionary."""

_INDEX = {phone: index + 1 for index, phone in enumerate(PHONES)}
NUM_OUTPUTS = len(PHONES) + 1

UNKNOWN = -1
"""In a reference: a phone that the inventory lacks. No output gives it, so it counts as an error."""


def encode(phones: str | Sequence[str], where: str = "phones") -> list[int]:
    """Turn ARPAbet symbols, with or without stress digits, into output indices.

    Args:
        phones: ``"K AH0 M"`` or a sequence of symbols.
        where: what to name in the message, such as the file.
    Raises:
        ManifestError: a symbol is not one of :data:`PHONES`.
    """
    symbols = phones.split() if isinstance(phones, str) else phones
    try:
        return [_INDEX[symbol.rstrip("012")] for symbol in symbols]
    except KeyError as error:
        raise ManifestError(
            f"{where}: unknown phone {error.args[0]!r} in {' '.join(symbols)!r}; allowed: {' '.join(PHONES)}"
        ) from error


def encode_in(inventory: Sequence[str], phones: str) -> list[int]:
    """Turn symbols, with spaces between, into indices of the output with an inventory of its own.

    A symbol that it lacks becomes :data:`UNKNOWN`.
    """
    index = {symbol: number for number, symbol in enumerate(inventory, start=1)}
    return [index.get(symbol, UNKNOWN) for symbol in phones.split()]


def collapse(indices: Sequence[int]) -> list[int]:
    """Turn frame-wise best outputs into indices of phones: repeats merged, blanks dropped."""
    merged = [
        index for position, index in enumerate(indices) if position == 0 or index != indices[position - 1]
    ]
    return [index for index in merged if index != BLANK]
