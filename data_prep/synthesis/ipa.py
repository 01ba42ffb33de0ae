"""IPA as eSpeak NG writes it, for any language, to the nearest of the 39 phones.

A table answers for the sounds that eSpeak writes often. What it lacks is looked up in the chart of the
International Phonetic Alphabet, and the phone made most alike is taken: no language stops at a symbol.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from data_prep.synthesis import phonetics
from data_prep.synthesis.arpabet import PronunciationError

_IPA_TO_ARPABET: dict[str, str] = {
    # English vowels; length marks that matter are part of the symbol, others are dropped below.
    "ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "a": "AA", "aː": "AA", "æ": "AE", "æː": "AE", "ʌ": "AH", "ə": "AH",
    "ɐ": "AH", "ɔː": "AO", "ɔ": "AO", "oː": "AO", "aʊ": "AW", "aɪ": "AY", "ɛ": "EH", "ɛː": "EH",
    "e": "EH", "eə": "EH R", "ɜː": "ER", "ɜ": "ER", "ɚ": "ER", "ɝ": "ER", "eɪ": "EY", "ɪ": "IH",
    "ᵻ": "IH", "iː": "IY", "i": "IY", "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY", "ʊ": "UH", "uː": "UW",
    "u": "UW", "ʉ": "UW", "ʉː": "UW",
    # r-coloured vowels.
    "ɚɹ": "ER", "ɜːɹ": "ER", "ɑːɹ": "AA R", "ɔːɹ": "AO R", "oːɹ": "AO R", "ɔɹ": "AO R", "ɛɹ": "EH R",
    "eɹ": "EH R", "ɪɹ": "IH R", "iːɹ": "IH R", "ʊɹ": "UH R", "aɪɚ": "AY ER", "aʊɚ": "AW ER", "ɛɚ": "EH R",
    "ɪɚ": "IH R", "ʊɚ": "UH R",
    # Consonants and syllabic consonants.
    "b": "B", "tʃ": "CH", "d": "D", "ð": "DH", "f": "F", "g": "G", "ɡ": "G", "h": "HH", "dʒ": "JH",
    "k": "K", "l": "L", "ɫ": "L", "əl": "AH L", "l̩": "AH L", "m": "M", "m̩": "AH M", "n": "N",
    "n̩": "AH N", "ŋ": "NG", "p": "P", "ɹ": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T",
    "θ": "TH", "v": "V", "w": "W", "ʍ": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
    # Sounds of other languages, and of loan words: the nearest English phone.
    "x": "K", "χ": "K", "ç": "SH", "ɕ": "SH", "ʂ": "SH", "ʑ": "ZH", "ʐ": "ZH", "tɕ": "CH", "ʈʂ": "CH",
    "dʑ": "JH", "ɟ": "JH", "c": "K", "q": "K", "r": "R", "ʁ": "R", "ʀ": "R", "ɻ": "R", "ɽ": "R", "β": "V",
    "ʋ": "V", "ɣ": "G", "ɸ": "F", "ħ": "HH", "ɦ": "HH", "ɬ": "L", "ɭ": "L", "ʎ": "L Y", "ɲ": "N Y",
    "ɳ": "N", "ɴ": "NG", "ɱ": "M", "ʈ": "T", "ɖ": "D", "ɥ": "W", "o": "OW", "eː": "EY", "y": "UW",
    "yː": "UW", "ʏ": "UH", "ø": "ER", "øː": "ER", "œ": "ER", "œː": "ER", "ɨ": "IH", "ɯ": "UW", "ɤ": "AH",
    "ɵ": "UH", "ɘ": "AH", "ɞ": "ER", "ɶ": "AE", "ä": "AA", "ε": "EH", "pf": "P F", "ʝ": "Y", "ɟʝ": "Y",
    "ʕ": "HH", "ʦ": "T S", "ʣ": "D Z", "ʧ": "CH", "ʤ": "JH", "ʨ": "CH", "ʥ": "JH",
    # eSpeak's own names of sounds, where it has no IPA for them.
    "A": "AA", "F": "F", "K": "K", "N": "NG", "S": "SH", "tS": "CH", "X": "K", "Z": "ZH", "dZ": "JH",
    "Φ": "F",
}  # fmt: skip

_LONGEST = max(map(len, _IPA_TO_ARPABET))

_PLACES = {
    "bilabial": 0.0, "labiodental": 0.05, "dental": 0.25, "alveolar": 0.4, "postalveolar": 0.55,
    "retroflex": 0.58, "palatal": 0.65, "velar": 0.85, "uvular": 0.9, "pharyngeal": 0.95, "glottal": 1.0,
}  # fmt: skip
"""The columns of the chart, on the scale of places of :mod:`data_prep.synthesis.phonetics`."""
_CHART: dict[str, tuple[str, ...]] = {
    "stop": ("p b", "", "", "t d", "", "ʈ ɖ", "c ɟ", "k ɡ", "q ɢ", "ʡ .", "ʔ ."),
    "nasal": (". m", ". ɱ", "", ". n", "", ". ɳ", ". ɲ", ". ŋ", ". ɴ", "", ""),
    "fricative": ("ɸ β", "f v", "θ ð", "s z", "ʃ ʒ", "ʂ ʐ", "ç ʝ", "x ɣ", "χ ʁ", "ħ ʕ", "h ɦ"),
    "affricate": ("", "", "", "ʦ ʣ", "ʧ ʤ", "", "ʨ ʥ", "", "", "", ""),
    "liquid": (". ʙ", ". ⱱ", "", "ɬ ɮɺɾrlɹ", "", ". ɽɭɻ", ". ʎ", ". ʟ", ". ʀ", "ʜ ʢ", ""),
    "glide": ("ʍ w", ". ʋ", "", "", "", "", ". jɥ", ". ɰ", "", "", ""),
    "implosive": ("ƥ ɓ", "", "", "ƭ ɗ", "", ". ᶑ", "ƈ ʄ", "ƙ ɠ", "ʠ ʛ", "", ""),
    "click": ("ʘ .", "", "ǀ .", "ǃ .", "", "", "ǂ .", "", "", "", ""),
}
"""Manner -> symbols of each place, voiceless and voiced ones; ``.`` stands for none."""
_MANNERS = {"implosive": "stop", "click": "stop"}
"""Manners of the chart that English lacks, and the nearest that it has."""
_CHART_VOWELS: dict[str, tuple[float, float]] = {
    "i": (1.0, 0.0), "y": (1.0, 0.0), "ɨ": (1.0, 0.5), "ʉ": (1.0, 0.5), "ɯ": (1.0, 1.0), "u": (1.0, 1.0),
    "ɪ": (0.8, 0.2), "ʏ": (0.8, 0.2), "ʊ": (0.8, 0.8), "e": (0.65, 0.1), "ø": (0.65, 0.1), "ɘ": (0.65, 0.5),
    "ɵ": (0.65, 0.5), "ɤ": (0.65, 0.9), "o": (0.65, 0.9), "ə": (0.5, 0.5), "ɛ": (0.4, 0.15), "œ": (0.4, 0.15),
    "ɜ": (0.4, 0.5), "ɞ": (0.4, 0.5), "ʌ": (0.4, 0.7), "ɔ": (0.4, 1.0), "æ": (0.15, 0.15), "ɐ": (0.2, 0.5),
    "a": (0.0, 0.3), "ɶ": (0.0, 0.2), "ɑ": (0.0, 0.8), "ɒ": (0.0, 0.9), "ɚ": (0.5, 0.5), "ɝ": (0.4, 0.5),
    "ᴀ": (0.0, 0.4), "ɿ": (0.9, 0.4), "ʅ": (0.9, 0.5), "ı": (1.0, 0.7), "ȯ": (0.65, 0.8),
}  # fmt: skip
"""Height (1 is close) and backness (1 is back) of the vowels, as in :mod:`data_prep.synthesis.phonetics`."""

_STRESS = re.compile("[ˈˌ]")
_LANGUAGE_SWITCH = re.compile(r"\([a-z0-9-]+\)")
_TONE_READ_TWICE = re.compile("Ë[\u0080-\u00bf]")
"""A tone letter of eSpeak's Pyash, of which each byte is written as a character."""


def ipa_to_phones(ipa: str) -> list[str]:
    """Map IPA as eSpeak writes it to ARPAbet, by longest match within each word.

    Marks of length, tone, place and breath are no phones of their own.

    Raises:
        PronunciationError: a letter is in no table; the message names it and the word.
    """
    phones: list[str] = []
    for word in _TONE_READ_TWICE.sub("", _LANGUAGE_SWITCH.sub("", ipa)).split():
        of_word = _phones_of_word(unicodedata.normalize("NFC", _STRESS.sub("", word)), word)
        # An r-coloured vowel before a written r gives R twice ("curious" is kjˈʊɹɹɪəs).
        phones += [phone for i, phone in enumerate(of_word) if i == 0 or not phone == "R" == of_word[i - 1]]
    return phones


def _phones_of_word(symbols: str, word: str) -> list[str]:
    phones: list[str] = []
    while symbols:
        for length in range(min(_LONGEST, len(symbols)), 0, -1):
            entry = _IPA_TO_ARPABET.get(symbols[:length])
            if entry is not None:
                phones += entry.split()
                symbols = symbols[length:]
                break
        else:
            first, symbols = symbols[0], symbols[1:]
            plain = unicodedata.normalize("NFD", first)
            if plain != first:  # such as a vowel said through the nose
                symbols = plain + symbols
            elif unicodedata.category(first) in ("Ll", "Lu", "Lo"):
                phones.append(_nearest(first, word))
    return phones


@functools.cache
def _nearest(symbol: str, word: str) -> str:
    """Return the phone that is made most like a symbol of the chart."""
    if symbol in _CHART_VOWELS:
        return phonetics.nearest_vowel(*_CHART_VOWELS[symbol])
    for manner, row in _CHART.items():
        for place, cell in zip(_PLACES.values(), row, strict=True):
            for voiced, symbols in enumerate(cell.split()):
                if symbol in symbols.replace(".", ""):
                    return phonetics.nearest_consonant(place, _MANNERS.get(manner, manner), bool(voiced))
    raise PronunciationError(
        f"IPA symbol {symbol!r} (U+{ord(symbol):04X}) in {word!r} has no ARPAbet phone; "
        "spell the word differently or give its phones in a lexicon"
    )
