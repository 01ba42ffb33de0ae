"""The form of a text that every engine can say: one code point a letter, digits 0 to 9, nothing but speech.

Called by whatever reads text aloud or into phones. Needs the standard library only.
"""

from __future__ import annotations

import itertools
import re
import unicodedata


def _marks() -> str:
    """Return the marks that belong to the letter before them, such as vowel signs, as a pattern has them."""
    marks = [code for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M"]
    runs = itertools.groupby(enumerate(marks), key=lambda numbered: numbered[1] - numbered[0])
    ends = [[code for _, code in run] for _, run in runs]
    return "".join(f"{chr(codes[0])}-{chr(codes[-1])}" for codes in ends)


LETTERS = rf"(?:[^\W_][{_marks()}]*)+"
"""Pattern of letters and digits with the marks on them; ``\\w`` alone would cut Hindi at its vowels."""
_WORD = re.compile(rf"{LETTERS}(?:['’-]{LETTERS})*")

FIRST_PICTURE = "\u2190"
"""Symbols from the arrows on are pictures; those before, such as the degree sign, are read out."""
_KEPT = frozenset("\u0e33\u0eb3")
"""Vowels of Thai and Lao that eSpeak reads whole and not in the two parts that NFKC makes of them."""


def sayable(text: str) -> str:
    """Return a text as engines read it, so that no sound of it is lost.

    Letters are composed (``e`` and an accent become ``é``) and of the plain kind (``Ａ`` and ``Ⓐ`` become
    ``A``), digits of any script become 0 to 9, and a space stands for everything that nobody says: emoji,
    other pictures, control characters. ESpeak would read their names out (``grinning face``), or end the
    text there.
    """
    if text.isascii() and text.isprintable():
        return text
    plain = "".join(map(_plain, unicodedata.normalize("NFC", text)))
    return "".join(" " if _is_picture(letter) else letter for letter in plain)


def words(text: str, *, lower: bool = True) -> list[str]:
    """Return the words of a text, in lower case or as they are, each with its apostrophes and hyphens."""
    return _WORD.findall(sayable(text).lower() if lower else sayable(text))


def _is_picture(letter: str) -> bool:
    """Return whether nobody says a character: a picture, a control character or half of a surrogate pair."""
    kind = unicodedata.category(letter)
    return kind in ("Cc", "Cs", "Cn") or (kind in ("So", "Sk") and letter >= FIRST_PICTURE)


def _plain(letter: str) -> str:
    """Return one character in the form that engines know; those that they read as they are stay."""
    if letter.isascii() or letter in _KEPT or unicodedata.decomposition(letter).startswith("<fraction>"):
        return letter
    digit = unicodedata.digit(letter, None)
    return unicodedata.normalize("NFKC", letter) if digit is None else str(digit)
