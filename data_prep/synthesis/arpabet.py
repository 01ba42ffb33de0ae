"""The 39 phones of ARPAbet without stress: the alphabet of pronunciations here and of the recogniser."""

from __future__ import annotations

from collections.abc import Sequence

from kws.errors import KwsError

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y",
    "Z", "ZH",
)  # fmt: skip
"""The 39 ARPAbet symbols without stress, in alphabetical order."""

VOWELS = frozenset({"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"})


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
