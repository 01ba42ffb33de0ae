"""One form for text that people type, and whether a text says a phrase.

Called wherever a phrase, a label or a transcript enters the program, and wherever recordings of a phrase are
told from others. Needs the standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_TATWEEL, _THIN_SPACE = "\u0640", "\u200b"
"""What stretches an Arabic word; and a space of no width, the only mark of format that parts words."""
_APART = re.compile("[´΄`ʹʻʼʽˈ᾽᾿῾ꞌ]")
"""Apostrophes and accents that stand alone, which Unicode counts as letters or makes marks of."""
_SPACELESS = (
    "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE",
    "BALINESE", "NEW TAI", "TAI", "YI",
)  # fmt: skip
"""First words of the names of letters that are written without spaces between words."""
_BEFORE_VOWEL = frozenset("เแโใไເແໂໃໄ")
"""Thai and Lao vowels that are written before the consonant they belong to."""
_AFTER_VOWEL = frozenset("ะาำຳๅະາຽゃゅょゎぁぃぅぇぉ")
"""Signs that belong to the syllable before them: Thai and Lao vowels, small kana."""
_STACKED = frozenset("\u1039\u17d2\u0f84")
"""Burmese, Khmer and Tibetan signs after which a consonant belongs to the one before."""
_POINTS = re.compile("[\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
"""Vowel signs of Arabic and Hebrew, which most texts leave out."""
_TONOS = re.compile("(?<=[α-ω])[\u0300\u0301\u0342]")
"""Accents of decomposed Greek, which capitals leave out."""
_PARTICLES = re.compile(
    "(?:은|는|이|가|을|를|의|에|에서|에게|에게서|께|께서|한테|와|과|하고|랑|이랑|도|만|로|으로|까지|부터|마다|보다|처럼|"
    "조차|밖에|대로|뿐|야|아|여|이여|나|이나|든지|라|라고|이라|이라고|라는|이라는|라면|이라면|란|이란|요|이요|예요|이에요|"
    "이야|입니다|입니까|인|인데|님|님아|씨|들)+"
)
"""What Korean writes after a word without a space: particles, the copula, forms of address."""
_PREFIXES = re.compile("(?:[وف]?(?:ال|[بك]ال|لل)|[وف]|ו?ה|ו)")
"""Articles and the word for *and*, which Arabic and Hebrew write before a word without a space."""


def normalize(text: str) -> str:
    """Return a text in Unicode's form NFKC: one code point for ``é`` however it was typed.

    The vowels *am* of Thai and Lao stay one letter, as they are typed and read out.
    """
    found = unicodedata.normalize("NFKC", text)
    return found.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3")


def shown(name: str) -> str:
    r"""Return a file's name as a page or a terminal can show it: bytes that are no UTF-8 become ``\xe9``."""
    told = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", name)
    return told.encode("utf-8", "backslashreplace").decode()


def typed(column: str, value: str) -> str:
    """Return what a manifest's column holds: texts and labels as :func:`normalize` does, phones composed.

    NFKC would make other phones of some (aspirated ones); other columns name things, and stay as they are.
    """
    if column in ("text", "label"):
        return normalize(value)
    return unicodedata.normalize("NFC", value) if column == "phones" else value


def mentions(keyword: str, text: str | None) -> bool:
    """Return whether a text says a keyword: the one rule by which recordings are left out of negatives.

    Case, apostrophes, hyphens, other punctuation and spaces do not count: ``hey-computer``, ``heycomputer``
    and ``Hey, computer!`` say the same. A keyword inside a longer word does not count as said (``light`` in
    ``flights``), but does next to an apostrophe or a hyphen, or a digit next to letters (``l'ordinateur``,
    ``computer 2``). Scripts without spaces have no longer words: there it may stand anywhere that no written
    syllable is cut. Korean particles, and Arabic and Hebrew articles, may be attached.

    Args:
        keyword: a phrase, in any spelling.
        text: a transcript; None says nothing.
    """
    wanted, given = _fold(keyword), _fold(text or "")
    for optional in (_POINTS, _TONOS):
        wanted, given = _without(optional, wanted, given)
    letters = wanted.translate(_LETTERS)
    joined = given.translate(_LETTERS)
    if letters not in joined or not any(map(str.isalnum, letters)):
        return False
    breaks = _breaks(given)
    start = joined.find(letters)
    while start >= 0:
        end = start + len(letters)
        if _begins(joined, start, breaks) and _ends(joined, end, breaks):
            return True
        start = joined.find(letters, start + 1)
    return False


def is_said(keyword: str, text: str | None, label: str | None) -> bool:
    """Return whether a recording says a keyword: its text mentions it, or its label is it."""
    return mentions(keyword, text) or same_words(keyword, label)


def same_words(one: str | None, other: str | None) -> bool:
    """Return whether two texts say the same and no more, by the rules of :func:`mentions`."""
    folded = _fold(one or ""), _fold(other or "")
    for optional in (_POINTS, _TONOS):
        folded = _without(optional, *folded)
    first, second = (text.translate(_LETTERS) for text in folded)
    return first == second != ""


class _Table(dict[int, str | None]):
    """Table of ``str.translate``, filled as characters are met."""

    def __init__(self, of: Callable[[str], str | None]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, code: int) -> str | None:
        return self.setdefault(code, self._of(chr(code)))


def _letter(character: str) -> str | None:
    """Return a letter, a combining mark or a digit as it is; None for all else, and for what has no sound."""
    kind = unicodedata.category(character)
    silent = kind == "Me" or character == _TATWEEL or "VARIATION SELECTOR" in unicodedata.name(character, "")
    return character if kind[0] in "LMN" and not silent else None


def _plain(character: str) -> str:
    """Return a digit of any script as ASCII, and katakana as hiragana, which sounds the same."""
    if "ァ" <= character <= "ヶ":
        return chr(ord(character) - 0x60)
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


_LETTERS, _PLAIN = _Table(_letter), _Table(_plain)


def _fold(text: str) -> str:
    """Return a text without differences of case, form, digits and kana."""
    apart = _APART.sub("'", unicodedata.normalize("NFC", text))
    folded = normalize(normalize(apart).casefold())
    if folded.isascii():
        return folded
    folded = folded.replace("i\u0307", "i").replace("ı", "i")  # of Turkish, by Python's rules for case
    return folded.translate(_PLAIN)


def _without(optional: re.Pattern[str], one: str, other: str) -> tuple[str, str]:
    """Take signs out of both texts that only one of them writes at all."""
    if one.isascii() or other.isascii():
        return one, other
    decomposed = [unicodedata.normalize("NFD", text) for text in (one, other)]
    plain = [optional.sub("", text) for text in decomposed]
    written = [text != bare for text, bare in zip(decomposed, plain, strict=True)]
    if written[0] == written[1]:
        return one, other
    one, other = (unicodedata.normalize("NFC", text) for text in plain)
    return one, other


def _breaks(folded: str) -> set[int]:
    """Return where in the letters of a text spaces, punctuation or its ends stand."""
    breaks, position = {0}, 0
    for character in folded:
        if character.translate(_LETTERS):
            position += 1
        elif character != _TATWEEL and (unicodedata.category(character) != "Cf" or character == _THIN_SPACE):
            breaks.add(position)
    return breaks | {position}


def _begins(letters: str, start: int, breaks: set[int]) -> bool:
    """Return whether a word can begin at a place."""
    if _between(letters, start, breaks):
        return True
    word = max(place for place in breaks if place < start)
    return bool(_PREFIXES.fullmatch(letters, word, start))


def _ends(letters: str, end: int, breaks: set[int]) -> bool:
    """Return whether a word can end at a place."""
    if _between(letters, end, breaks):
        return True
    word = min(place for place in breaks if place > end)
    return bool(_PARTICLES.fullmatch(letters, end, word))


def _between(letters: str, place: int, breaks: set[int]) -> bool:
    """Return whether one word can end and another begin at a place."""
    if place in breaks:
        return True
    before, after = letters[place - 1], letters[place]
    if unicodedata.category(after)[0] == "M" or before in _STACKED:
        return False
    if before.isdecimal() != after.isdecimal():
        return True
    if before in _BEFORE_VOWEL or after in _AFTER_VOWEL:
        return False
    return _spaceless(before) or _spaceless(after) or _hangul(before) != _hangul(after)


def _spaceless(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(_SPACELESS)


def _hangul(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("HANGUL")
