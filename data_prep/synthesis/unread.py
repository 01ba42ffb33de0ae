"""What eSpeak NG does not read of a text in some language, said before anything is made of the rest of it.

:func:`refuse_letters` looks for letters of another script, in any text; :func:`refuse_silent` for words of a
wake phrase that make no sound, such as emoji. Both name the remedy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence

from data_prep.synthesis import espeak
from data_prep.synthesis.arpabet import PronunciationError
from data_prep.synthesis.spoken_form import sayable

_LANGUAGE_SWITCH = re.compile(r"\([a-z0-9-]+\)")

SCRIPTS: dict[str, tuple[str, ...]] = {
    "HIRAGANA": ("ja",), "KATAKANA": ("ja",), "HANGUL": ("ko",), "CJK": ("cmn", "yue", "ja"),
    "BOPOMOFO": ("cmn",),
    "CYRILLIC": ("ru", "uk", "be", "sr", "mk", "bg", "kk", "ky", "tt", "ba", "cv", "nog"),
    "GREEK": ("el", "grc"), "ARABIC": ("ar", "fa", "ur", "sd", "ug"), "HEBREW": ("he",),
    "DEVANAGARI": ("hi", "mr", "ne", "kok"), "BENGALI": ("bn", "as", "bpy"), "GURMUKHI": ("pa",),
    "GUJARATI": ("gu",), "ORIYA": ("or",), "TAMIL": ("ta",), "TELUGU": ("te",), "KANNADA": ("kn",),
    "MALAYALAM": ("ml",), "SINHALA": ("si",), "THAI": ("th",), "MYANMAR": ("my", "shn"),
    "GEORGIAN": ("ka",), "ARMENIAN": ("hy", "hyw"), "ETHIOPIC": ("am", "ti"),
    "CHEROKEE": ("chr-us-qaaa-x-west",), "SHAVIAN": ("en-shaw",),
}  # fmt: skip
"""How Unicode's names of a script's letters begin, and the languages to try for it, the commonest first."""
_OWN_LETTERS: dict[str, str] = {
    "іїєґ": "uk", "ў": "be", "ђћљњџ": "sr", "ѓќѕ": "mk", "پچژگ": "fa", "ٹڈڑںے": "ur",
}  # fmt: skip
"""Letters that tell a language from others of its script."""


def unread_letters(texts: Sequence[str], language: str) -> list[str]:
    """Return the letters that eSpeak only names, such as "Chinese letter", or leaves to a foreign voice.

    Latin letters are not among them: foreign words are read by the voice of their language.
    """
    words = {word for text in texts if not text.isascii() for word in sayable(text).split()}
    letters = sorted({c for word in words for c in word if c.isalpha() and not _is_latin(c)})
    if not letters or language.lower().split("-")[0] == "en":
        return letters
    # Chinese characters that a voice does not know are all named as U+4E06 is, which none knows
    *readings, named = espeak.phonemes_of_all([*letters, "\u4e06"], language)
    reading = dict(zip(letters, readings, strict=True))
    unread = {c for c, ipa in reading.items() if _is_han(c) and ipa.startswith(named)}
    # alone some letters are named by a foreign voice that are read well within a word
    foreign = {c for c, ipa in reading.items() if _LANGUAGE_SWITCH.search(ipa)}
    odd = sorted(word for word in words if foreign.intersection(word))
    for word, ipa in zip(odd, espeak.phonemes_of_all(odd, language), strict=True):
        if _LANGUAGE_SWITCH.search(ipa):
            unread |= foreign.intersection(word)
    return sorted(unread)


def language_of_script(text: str) -> str | None:
    """Return the eSpeak language that the script of a text suggests; None for Latin and unknown letters."""
    letters = [letter for letter in sayable(text).lower() if letter.isalpha() and not _is_latin(letter)]
    named = {unicodedata.name(letter, "").split()[0] for letter in letters if unicodedata.name(letter, "")}
    scripts = [script for script in SCRIPTS if script in named]  # kana come before Chinese characters
    if not scripts:
        return None
    languages = [code for code in SCRIPTS[scripts[0]] if code in espeak.languages()]
    own = [code for some, code in _OWN_LETTERS.items() if code in languages and set(some) & set(letters)]
    return next(iter([*own, *languages]), None)


def refuse_letters(texts: Sequence[str], language: str) -> None:
    """Refuse texts with letters that eSpeak does not read in a language.

    Raises:
        PronunciationError: the message names the letters and the language that their script suggests.
    """
    if unread := unread_letters(texts, language):
        first = next(text for text in texts if set(unread).intersection(sayable(text)))
        found = [letter for letter in unread if letter in sayable(first)]
        raise PronunciationError(
            f"text {first.strip()!r}: eSpeak's {language!r} does not read {' '.join(unread)}; "
            + _remedy(first, "".join(found), language)
        )


def refuse_silent(phrase: str, language: str, known: Container[str] = ()) -> None:
    """Refuse a phrase with a word that makes no sound, which would be a phrase of the other words alone.

    Args:
        phrase: what is to be listened for.
        language: eSpeak language code.
        known: upper-case words of which the pronunciation is given.
    Raises:
        PronunciationError: the message names the word and the remedy.
    """
    words = [word for word in re.sub(r"\[\[.*?\]\]", " ", phrase).split() if word.upper() not in known]
    for word in words:
        picture = next((sign for sign in word if sayable(sign).isspace()), None)
        if picture is not None:
            raise PronunciationError(
                f"phrase {phrase!r}: nobody says {picture!r}; write it as a word, or leave it out"
            )
    spoken = {word: _parts(word) for word in words if any(unicodedata.category(c)[0] != "P" for c in word)}
    parts = sorted({part for own in spoken.values() for part in own})
    read = dict(zip(parts, espeak.phonemes_of_all(parts, language), strict=True)) if parts else {}
    for word, own in spoken.items():
        if silent := [part for part in own if not any(map(str.isalpha, read[part]))]:
            of_it = "" if silent == [word] else f" of {word!r}"
            raise PronunciationError(
                f"phrase {phrase!r}: eSpeak's {language!r} reads no sound of {silent[0]!r}{of_it}; write it "
                "in words, check the language, or give the word's phones in a `lexicon`"
            )


def _parts(word: str) -> list[str]:
    """Return what must make a sound for a word to be read: itself, and the hundreds and tens of a number."""
    said = sayable(word).strip()
    numbers = [
        digit + "0" * (len(number) - place - 1)
        for number in re.findall(r"\d+", said)
        if len(number) <= 3
        for place, digit in enumerate(number)
        if digit != "0"
    ]
    return list(dict.fromkeys([said, *numbers]))


def _remedy(text: str, unread: str, language: str) -> str:
    """Return what to do about letters that are not read."""
    if language == "ja" and any(map(_is_han, unread)):
        return "write these words in kana"
    suggested = language_of_script(text)
    if suggested is not None and suggested != language.lower().split("-")[0]:
        return f"try `language={suggested}`, or write these words in other letters"
    return "check the language, write these words in other letters, or leave out the texts with them"


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith(("LATIN ", "MODIFIER LETTER "))


def _is_han(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("CJK ")
