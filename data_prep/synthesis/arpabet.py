"""The 39 phones of ARPAbet without stress: the alphabet of pronunciations here and of the recogniser."""

from __future__ import annotations

from collections.abc import Sequence

from kws.errors import KwsError
from kws.phone_table import PHONE_TABLE

PHONES = tuple(PHONE_TABLE)
"""The 39 ARPAbet symbols without stress, in alphabetical order."""

VOWELS = frozenset(phone for phone, row in PHONE_TABLE.items() if row.positions is not None)


class PronunciationError(KwsError):
    """A text has no pronunciation in ARPAbet."""


def strip_stress(phones: Sequence[str]) -> list[str]:
    """Return the phones without stress digits: ``AH0`` becomes ``AH``.

    Raises:
        PronunciationError: a symbol is not one of the 39.
    """
    plain = [phone.rstrip("012") for phone in phones]
    for phone, given in zip(plain, phones, strict=True):
        if phone not in PHONES:
            raise PronunciationError(
                f"phone {given!r} is not ARPAbet; allowed are {' '.join(PHONES)}; correct the pronunciation"
            )
    return plain
