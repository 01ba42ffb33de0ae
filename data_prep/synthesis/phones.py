"""Pronunciations: text to the 39 ARPAbet phones that encoders, enrolment and confusable phrases work with.

A lexicon answers first; eSpeak NG answers the rest in IPA, which is mapped to ARPAbet by longest match.
:func:`texts_to_symbols` gives the phones of a language in eSpeak's own symbols instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.synthesis import espeak
from kws.errors import KwsError, ManifestError

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y",
    "Z", "ZH",
)  # fmt: skip
"""The 39 ARPAbet symbols without stress, in alphabetical order."""

VOWELS = frozenset({"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"})

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
    "ɵ": "UH", "ɘ": "AH", "ɞ": "ER", "ɶ": "AE", "ä": "AA", "ε": "EH", "pf": "P F",
}  # fmt: skip
_LONGEST = max(map(len, _IPA_TO_ARPABET))

_MANDARIN: dict[str, str] = {
    # Pinyin b and p are IPA p and ph: what tells them apart is breath, as in English at the start of a word.
    "p": "b", "ph": "p", "t": "d", "th": "t", "k": "ɡ", "kh": "k", "ts": "dz", "tsh": "ts", "ts.": "dʒ",
    "ts.h": "tʃ", "tɕ": "dʒ", "tɕh": "tʃ", "s.": "ʃ", "ʐ": "ɹ", "χ": "h", "ai": "aɪ", "ei": "eɪ",
    "ɑu": "aʊ", "ou": "oʊ", "iɑ": "jɑ", "iɛ": "jɛ", "iou": "joʊ", "ua": "wɑ", "uai": "waɪ", "uei": "weɪ",
    "uo": "wɔ", "uə": "wə", "yæ": "wɛ", "yɛ": "wɛ", "yi": "wɪ", "yə": "wə", "o-": "ʌ", "onɡ": "ʊŋ",
    "ər": "ɜː", "i.": "ɜː", "i̪": "ɪ",
}  # fmt: skip
"""What eSpeak writes for Mandarin, where the nearest English phones are not those of the table above."""

_STRESS = re.compile("[ˈˌ]")
_LANGUAGE_SWITCH = re.compile(r"\([a-z0-9-]+\)")
_IGNORED = frozenset("ː:ˑ‿|-‖.'ʰʲʷˠˤ0123456789")
"""Length, linking, secondary articulation and tone numbers, where no table entry claims them."""
_SPELLED_OR_WORD = re.compile(r"\[\[(?P<spelled>.*?)\]\]|[^\W_]+(?:['’][^\W_]+)*")

_SPELLING: dict[str, tuple[str, str]] = {
    "AA": ("A:", "ɑː"), "AE": ("a", "æ"), "AH": ("V", "ʌ"), "AO": ("O:", "ɔː"), "AW": ("aU", "aʊ"),
    "AY": ("aI", "aɪ"), "B": ("b", "b"), "CH": ("tS", "tʃ"), "D": ("d", "d"), "DH": ("D", "ð"),
    "EH": ("E", "ɛ"), "ER": ("3:", "ɜːɹ"), "EY": ("eI", "eɪ"), "F": ("f", "f"), "G": ("g", "ɡ"),
    "HH": ("h", "h"), "IH": ("I", "ɪ"), "IY": ("i:", "iː"), "JH": ("dZ", "dʒ"), "K": ("k", "k"),
    "L": ("l", "l"), "M": ("m", "m"), "N": ("n", "n"), "NG": ("N", "ŋ"), "OW": ("oU", "oʊ"),
    "OY": ("OI", "ɔɪ"), "P": ("p", "p"), "R": ("r", "ɹ"), "S": ("s", "s"), "SH": ("S", "ʃ"),
    "T": ("t", "t"), "TH": ("T", "θ"), "UH": ("U", "ʊ"), "UW": ("u:", "uː"), "V": ("v", "v"),
    "W": ("w", "w"), "Y": ("j", "j"), "Z": ("z", "z"), "ZH": ("Z", "ʒ"),
}  # fmt: skip
"""eSpeak mnemonic (docs/phonemes.md of eSpeak NG; the same in all English accents) and IPA of a phone."""
_FROM_MNEMONIC = {mnemonic: phone for phone, (mnemonic, _) in _SPELLING.items()} | {"@": "AH"}
_MNEMONIC = re.compile(
    "|".join(map(re.escape, sorted(_FROM_MNEMONIC, key=len, reverse=True))) + r"|(?P<unknown>[^\s'|,])"
)


class PronunciationError(KwsError):
    """A text has no pronunciation in ARPAbet."""


def text_to_phones(
    text: str, language: str = "en-us", lexicon: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Return the pronunciation of a text.

    Args:
        text: any text; a number is read out, ``[[...]]`` holds eSpeak phonemes (:func:`phones_to_espeak`).
        language: eSpeak language code, for the words that the lexicon does not hold.
        lexicon: upper-case word to phones; see :func:`read_lexicon`. Overrides eSpeak.
    Returns:
        ARPAbet phones without stress; empty if the text holds nothing to say.
    Raises:
        PronunciationError: a letter that eSpeak does not read, or a symbol of its that the table lacks.
        ConfigError: unknown language.
        DependencyError: espeakng_loader is not installed.
    """
    return texts_to_phones([text], language, lexicon)[0]


def pronunciations(
    text: str, language: str = "en", lexicon: Mapping[str, Sequence[str]] | None = None
) -> list[list[str]]:
    """Return how a text is said, without repeats, the usual way first.

    Args:
        text: as in :func:`text_to_phones`.
        language: eSpeak language code; ``en`` takes every accent of English.
        lexicon: as in :func:`text_to_phones`; words that it holds are said in one way.
    Raises:
        PronunciationError, ConfigError, DependencyError: as :func:`text_to_phones`.
    """
    accents = dict.fromkeys(espeak.ENGLISH_ACCENTS) if language == "en" else (language,)
    found = [text_to_phones(text, accent, lexicon) for accent in accents]
    return [phones for index, phones in enumerate(found) if phones and phones not in found[:index]]


def texts_to_phones(
    texts: Sequence[str], language: str = "en-us", lexicon: Mapping[str, Sequence[str]] | None = None
) -> list[list[str]]:
    """Return the pronunciation of each text, as :func:`text_to_phones` does, a hundred times faster."""
    pieces_of = [_pieces(text, lexicon or {}) for text in texts]
    unknown = sorted({piece for pieces in pieces_of for piece in pieces if isinstance(piece, str)})
    spoken = dict(zip(unknown, _ipa_of_all(unknown, language), strict=True))
    results = []
    for text, pieces in zip(texts, pieces_of, strict=True):
        phones: list[str] = []
        for piece in pieces:
            try:
                phones += ipa_to_phones(spoken[piece]) if isinstance(piece, str) else piece
            except PronunciationError as error:
                raise PronunciationError(f"text {text.strip()!r}: {error}") from error
        results.append(phones)
    return results


def texts_to_symbols(texts: Sequence[str], language: str, tones: bool = False) -> list[list[str]]:
    """Return the phones of each text in the symbols that eSpeak has for its language.

    Args:
        texts: any texts; Mandarin in characters, or in pinyin with digits for tones (``ni3 hao3``).
        language: eSpeak language code.
        tones: give tones too, as eSpeak's digits after the vowel (``214``); else they are dropped.
    Returns:
        IPA symbols without stress; empty for a text that holds nothing to say.
    Raises:
        PronunciationError: a letter that eSpeak does not read in this language.
        ConfigError: unknown language.
        DependencyError: espeakng_loader is not installed.
    """
    _refuse_unread(texts, language)
    return [
        [part for segment in said for part in (segment if tones else segment[:1]) if part]
        for said in espeak.segments_of_all(texts, language)
    ]


def symbols_to_phones(symbols: Sequence[str], language: str) -> list[str]:
    """Return the ARPAbet phones that are nearest to a language's symbols, which hold no tones.

    Raises:
        PronunciationError: a symbol is unknown.
    """
    return ipa_to_phones(_spelled_alike(symbols, language))


def _ipa_of_all(texts: Sequence[str], language: str) -> list[str]:
    """Return what :func:`ipa_to_phones` shall read for each text: tones are left out."""
    _refuse_unread(texts, language)
    if espeak.is_tonal(language):
        said = espeak.segments_of_all(texts, language)
        return [_spelled_alike([segment.ipa for segment in segments], language) for segments in said]
    # Only in English is the tap a kind of T; elsewhere it is an r.
    tap = "ɾ" if language.lower().split("-")[0] == "en" else "ɹ"
    return [ipa.replace("ɾ", tap) for ipa in espeak.phonemes_of_all(texts, language)]


def _spelled_alike(symbols: Sequence[str], language: str) -> str:
    """Return a language's symbols in IPA that the table maps to the nearest English phones."""
    if not espeak.languages()[language.lower()].startswith("sit/cmn"):
        return " ".join(symbols)
    ipa = " ".join(_MANDARIN.get(symbol, symbol) for symbol in symbols)
    return ipa.replace("j j", "j").replace("w w", "w")  # eSpeak writes "you" as j iou


def _refuse_unread(texts: Sequence[str], language: str) -> None:
    if unread := espeak.unread_letters(texts, language):
        first = next(text for text in texts if set(unread).intersection(text))
        raise PronunciationError(
            f"text {first.strip()!r}: eSpeak's {language!r} does not read {' '.join(unread)}; check the "
            "language, write these words in other letters, or leave out the texts with them"
        )


def _pieces(text: str, lexicon: Mapping[str, Sequence[str]]) -> list[str | list[str]]:
    """Cut a text into what eSpeak reads (str) and what is known already (phones).

    Words between two known ones stay together: their pronunciation depends on the neighbours.
    """
    pieces: list[str | list[str]] = []
    position = 0
    for match in _SPELLED_OR_WORD.finditer(text):
        if match["spelled"] is not None:
            known = _espeak_to_phones(match["spelled"])
        elif (entry := lexicon.get(match[0].upper().replace("’", "'"))) is not None:
            known = strip_stress(entry)
        else:
            continue
        pieces += [text[position : match.start()], known]
        position = match.end()
    pieces.append(text[position:])
    return [piece for piece in pieces if not isinstance(piece, str) or any(map(str.isalnum, piece))]


def phones_to_espeak(words: Sequence[Sequence[str]]) -> str:
    """Spell phones so that every voice says exactly them, in an English language: ``[[k@mpj'u:]]``.

    Args:
        words: ARPAbet phones of each word; stress goes to the first full vowel.
    Returns:
        Text for ``speak``; :func:`text_to_phones` turns it back.
    """
    return "[[" + " ".join(_spell(strip_stress(word)) for word in words) + "]]"


def phones_to_ipa(phones: Sequence[str]) -> str:
    """Return phones in IPA, for synthesisers that read IPA."""
    return "".join(_SPELLING[phone][1] for phone in phones)


def _spell(phones: Sequence[str]) -> str:
    vowels = [index for index, phone in enumerate(phones) if phone in VOWELS]
    full = [index for index in vowels if phones[index] != "AH"]
    stressed = (full or vowels or [-1])[0]
    spelled = ""
    for index, phone in enumerate(phones):
        mnemonic = "@" if phone == "AH" and index != stressed else _SPELLING[phone][0]
        # Without a bar, eSpeak would read two neighbours as one sound: t S as tS, a I as aI.
        merges = index > 0 and (
            (phones[index - 1], phone) in (("T", "SH"), ("D", "ZH")) or {phones[index - 1], phone} <= VOWELS
        )
        spelled += ("|" if merges else "") + ("'" if index == stressed else "") + mnemonic
    return spelled


def _espeak_to_phones(spelled: str) -> list[str]:
    phones = []
    for match in _MNEMONIC.finditer(spelled):
        if match["unknown"]:
            raise PronunciationError(
                f"eSpeak phoneme {match[0]!r} in '[[{spelled}]]' has no ARPAbet phone; "
                f"allowed are {' '.join(_FROM_MNEMONIC)}, stress marks and |"
            )
        phones.append(_FROM_MNEMONIC[match[0]])
    return phones


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


def read_lexicon(path: str | Path) -> dict[str, list[str]]:
    """Read a pronunciation lexicon in the form ``WORD PH PH PH``, one a line, tab or spaces between.

    Lines that are empty or start with ``#`` or ``;;;`` are skipped; of several pronunciations the first is
    kept (``WORD(2)`` marks a further one, as in CMUdict).

    Returns:
        Upper-case word to ARPAbet phones without stress.
    Raises:
        ManifestError: the file is missing or no text, a line holds no phones, or a symbol is not ARPAbet.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(
            f"{path}: no such lexicon; give a text file with a line `WORD PH PH PH` for each word"
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: is no text in UTF-8 ({error.reason}); save it again as UTF-8"
        ) from error
    lexicon: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("#", ";;;")):
            continue
        word, *phones = line.split()
        if not phones:
            raise ManifestError(
                f"{path}:{number}: word {word!r} has no phones; write `{word} PH PH PH` or remove the line"
            )
        try:
            lexicon.setdefault(re.sub(r"\(\d+\)$", "", word).upper(), strip_stress(phones))
        except PronunciationError as error:
            raise ManifestError(f"{path}:{number}: {error}") from error
    return lexicon


def ipa_to_phones(ipa: str) -> list[str]:
    """Map IPA as eSpeak writes it to ARPAbet, by longest match within each word.

    Raises:
        PronunciationError: a symbol is unknown; the message names it and the word.
    """
    phones: list[str] = []
    for word in _LANGUAGE_SWITCH.sub("", ipa).split():
        word_start = len(phones)
        symbols = unicodedata.normalize("NFC", _STRESS.sub("", word))
        position = 0
        while position < len(symbols):
            for length in range(min(_LONGEST, len(symbols) - position), 0, -1):
                entry = _IPA_TO_ARPABET.get(symbols[position : position + length])
                if entry is not None:
                    phones += entry.split()
                    position += length
                    break
            else:
                symbol = symbols[position]
                if symbol not in _IGNORED and not unicodedata.combining(symbol):
                    raise PronunciationError(
                        f"IPA symbol {symbol!r} (U+{ord(symbol):04X}) in {word!r} has no ARPAbet phone; "
                        "spell the word differently or give its phones in a lexicon"
                    )
                position += 1
        # An r-coloured vowel before a written r gives R twice ("curious" is kjˈʊɹɹɪəs).
        of_word = phones[word_start:]
        phones[word_start:] = [
            phone for i, phone in enumerate(of_word) if i == 0 or not phone == "R" == of_word[i - 1]
        ]
    return phones
