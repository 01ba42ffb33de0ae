"""Text in the symbols that Kokoro reads: eSpeak NG's IPA, with a letter of its own for each diphthong.

The symbols and their numbers are those of Kokoro's own configuration (hexgrad/Kokoro-82M, Apache-2.0). Which
of eSpeak's sounds becomes which follows ``misaki`` (hexgrad/misaki, Apache-2.0), its own reader of text.
"""

from __future__ import annotations

import re
import unicodedata

from data_prep.synthesis import espeak
from data_prep.synthesis.phones import espeak_words, stressed_ipa
from data_prep.synthesis.spoken_form import sayable
from kws.errors import KwsError

LONGEST = 510
"""Symbols that one call of the model takes."""

_NUMBERED = (
    (1, ";:,.!?"), (9, '—…"()“”'), (16, " \u0303ʣʥʦʨᵝꭧAI"), (31, "O"), (33, "Q"), (35, "ST"), (39, "W"),
    (41, "Yᵊabcdef"), (50, "hijklmnopqrstuvwxyzɑɐɒæ"), (75, "βɔɕç"), (80, "ɖðʤə"), (85, "ɚɛɜ"), (90, "ɟ"),
    (92, "ɡ"), (99, "ɥ"), (101, "ɨɪʝ"), (110, "ɯɰŋɳɲɴø"), (118, "ɸθœ"), (123, "ɹ"), (125, "ɾɻ"),
    (128, "ʁɽʂʃʈʧ"), (135, "ʊʋ"), (138, "ʌɣɤ"),
    (142, "χʎ"), (147, "ʒʔ"), (156, "ˈˌː"), (162, "ʰ"), (164, "ʲ"),
    (169, "↓"), (171, "→↗↘"), (177, "ᵻ"),
)  # fmt: skip
NUMBERS = {symbol: first + place for first, symbols in _NUMBERED for place, symbol in enumerate(symbols)}
"""Symbol -> its number in the model."""

_TIED = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "ɔ^ɪ": "Y", "d^ʒ": "ʤ", "t^ʃ": "ʧ",
    "d^z": "ʣ", "t^s": "ʦ", "t^ɕ": "ʨ", "d^ʑ": "ʥ", "ə^l": "ᵊl",
}  # fmt: skip
"""Sounds of several letters that have a symbol of their own."""
_ENGLISH = {
    "ʌ^ʉ": "W", "ʉ": "u", "ʍ": "w", "e^ə": "ɛː", "ɚɹ": "əɹ", "ɚ": "əɹ", "ɜːɹ": "ɜɹ",
    "iə": "ɪə", "ɬ": "l", "ʔˌn\u0329": "tᵊn", "ʔn\u0329": "tᵊn", "ʔ": "t", "r": "ɹ",
    "x": "k", "ç": "k", "e": "A", "ɐ": "ə", "\u0303": "",
}  # fmt: skip
"""Sounds of English as the model has learnt them; they are replaced in this order, after :data:`_TIED`."""
_SYLLABIC = re.compile("(\\S)\u0329")
_PAUSE = re.compile(r"[.,!?;:…]+(?=\s|$)|[。，！？；：、]")
_PAUSES = str.maketrans("。，！？；：、", ".,!?;:,")
_SWITCH = re.compile(r"\([a-z0-9^-]+\)")
_MANDARIN = {
    "ts.h": "ꭧʰ", "ts.": "ꭧ", "tɕh": "ʨʰ", "tɕ": "ʨ", "tsh": "ʦʰ", "ts": "ʦ", "ph": "pʰ", "th": "tʰ",
    "kh": "kʰ", "s.": "ʂ", "ʐ": "ɻ", "χ": "x", "i.": "ɨ", "i̪": "ɨ", "o-": "ɤ", "onɡ": "ʊŋ",
}  # fmt: skip
"""Sounds of Mandarin as eSpeak writes them, and as the model has learnt them."""
_TONES = {"55": "→", "35": "↗", "214": "↓", "21": "↓", "51": "↘"}


class UnreadError(KwsError):
    """A text holds nothing that Kokoro's voices can say, or too much for one call."""


def symbols_of(text: str, language: str) -> str:
    """Return a text in Kokoro's symbols.

    Args:
        text: plain text; parts in ``[[...]]`` are read as eSpeak phonemes.
        language: eSpeak language code of the accent that reads it.
    Returns:
        Symbols, all of them in :data:`NUMBERS`, between one and :data:`LONGEST`.
    Raises:
        UnreadError: nothing is left to say, or more than one call of the model takes.
        KwsError: eSpeak does not read the text.
    """
    written = ""
    for piece in re.split(r"(\[\[.*?\]\])", text):
        if piece.startswith("[["):
            written += " " + _model_symbols(stressed_ipa(espeak_words(piece), espeak.TIE), "en-us")
        else:
            written += " " + _read(sayable(piece), language)
    symbols = "".join(symbol for symbol in written if symbol in NUMBERS)
    symbols = re.sub(r"\s+(?=[.,!?;:…])", "", re.sub(r"\s+", " ", symbols)).strip()
    if not any(map(str.isalpha, symbols)):
        raise UnreadError(f"text {text!r} makes no sound with Kokoro's voices; give a word that can be said")
    if len(symbols) > LONGEST:
        raise UnreadError(
            f"text {text[:40]!r}… has {len(symbols)} sounds, Kokoro's voices say {LONGEST} at once; cut it"
        )
    return symbols


def numbers_of(symbols: str) -> list[int]:
    """Return the numbers of symbols."""
    return [NUMBERS[symbol] for symbol in symbols]


def _read(text: str, language: str) -> str:
    """Return symbols of plain text with the pauses that it writes."""
    pauses = [found[0].translate(_PAUSES) for found in _PAUSE.finditer(text)]
    clauses = _PAUSE.split(text)
    if language.lower().startswith("cmn"):
        read = [_mandarin(clause) for clause in clauses]
    else:
        spoken = espeak.phonemes_of_all(clauses, language, tied=True)
        read = [_model_symbols(_SWITCH.sub("", ipa), language) for ipa in spoken]
    return " ".join(clause + pause for clause, pause in zip(read, [*pauses, ""], strict=True))


def _model_symbols(ipa: str, language: str) -> str:
    """Return eSpeak's tied IPA in the model's symbols; an American vowel has no length, as it was learnt."""
    english, american = (language.lower().startswith(code) for code in ("en", "en-us"))
    for sounds in (_TIED, _ENGLISH if english else {}):
        for sound, symbol in sounds.items():
            ipa = ipa.replace(sound, symbol)
    ipa = _SYLLABIC.sub("ᵊ\\1", ipa)
    if english:
        ipa = ipa.replace("o", "ɔ")
    if american:
        ipa = re.sub("ɜː?(?!ɹ)", "ɜɹ", ipa).replace("ː", "")
    return unicodedata.normalize("NFC" if english else "NFD", ipa).replace(espeak.TIE, "")


def _mandarin(text: str) -> str:
    """Return Mandarin in the model's symbols, each tone an arrow after its vowel."""
    said = ""
    for segment in espeak.segments_of_all([text], "cmn")[0] if text.strip() else ():
        said += _MANDARIN.get(segment.ipa, segment.ipa) + _TONES.get(segment.tone, "")
    return said
