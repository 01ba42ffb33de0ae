"""Pronunciations: text to the 39 ARPAbet phones that encoders, enrolment and confusable phrases work with.

A lexicon answers first; eSpeak NG answers the rest in IPA, which is mapped to ARPAbet by longest match.
:func:`texts_to_symbols` gives the phones of a language in eSpeak's own symbols instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.synthesis import espeak
from data_prep.synthesis.arpabet import PHONES, VOWELS, PronunciationError, strip_stress
from data_prep.synthesis.ipa import ipa_to_phones
from data_prep.synthesis.spoken_form import LETTERS, sayable
from data_prep.synthesis.unread import refuse_letters, refuse_silent
from kws.errors import ManifestError

__all__ = [
    "PHONES", "VOWELS", "PronunciationError", "espeak_words", "ipa_to_phones", "phones_to_espeak",
    "phones_to_ipa", "pronunciations", "read_lexicon", "stressed_ipa", "strip_stress", "symbols_to_phones",
    "text_to_phones", "texts_to_phones", "texts_to_symbols",
]  # fmt: skip

_MANDARIN: dict[str, str] = {
    # Pinyin b and p are IPA p and ph: what tells them apart is breath, as in English at the start of a word.
    "p": "b", "ph": "p", "t": "d", "th": "t", "k": "ɡ", "kh": "k", "ts": "dz", "tsh": "ts", "ts.": "dʒ",
    "ts.h": "tʃ", "tɕ": "dʒ", "tɕh": "tʃ", "s.": "ʃ", "ʐ": "ɹ", "χ": "h", "ai": "aɪ", "ei": "eɪ",
    "ɑu": "aʊ", "ou": "oʊ", "iɑ": "jɑ", "iɛ": "jɛ", "iou": "joʊ", "ua": "wɑ", "uai": "waɪ", "uei": "weɪ",
    "uo": "wɔ", "uə": "wə", "yæ": "wɛ", "yɛ": "wɛ", "yi": "wɪ", "yə": "wə", "o-": "ʌ", "onɡ": "ʊŋ",
    "ər": "ɜː", "i.": "ɜː", "i̪": "ɪ",
}  # fmt: skip
"""What eSpeak writes for Mandarin, where the nearest English phones are not those of the table above."""

_SPELLED_OR_WORD = re.compile(rf"\[\[(?P<spelled>.*?)\]\]|{LETTERS}(?:['’]{LETTERS})*")

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
    accents = list(dict.fromkeys(espeak.ENGLISH_ACCENTS)) if language == "en" else [language]
    refuse_letters([text], accents[0])
    refuse_silent(text, accents[0], lexicon or {})
    found = [text_to_phones(text, accent, lexicon) for accent in accents]
    return [phones for index, phones in enumerate(found) if phones and phones not in found[:index]]


def texts_to_phones(
    texts: Sequence[str], language: str = "en-us", lexicon: Mapping[str, Sequence[str]] | None = None
) -> list[list[str]]:
    """Return the pronunciation of each text, as :func:`text_to_phones` does, a hundred times faster."""
    pieces_of = [_pieces(sayable(text), lexicon or {}) for text in texts]
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
    refuse_letters(texts, language)
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
    refuse_letters(texts, language)
    if espeak.is_tonal(language):
        said_by_phone = espeak.segments_of_all(texts, language)
        return [_spelled_alike([segment.ipa for segment in said], language) for said in said_by_phone]
    # Only in English is the tap a kind of T; elsewhere it is an r.
    tap = "ɾ" if language.lower().split("-")[0] == "en" else "ɹ"
    said = [ipa.replace("ɾ", tap) for ipa in espeak.phonemes_of_all(texts, language)]
    # In the languages of India c is the sound of "church"; in others it is a kind of K.
    indian = espeak.languages()[language.lower()].startswith(("inc/", "dra/"))
    return [re.sub("cʃ?", "tʃ", ipa) for ipa in said] if indian else said


def _spelled_alike(symbols: Sequence[str], language: str) -> str:
    """Return a language's symbols in IPA that the table maps to the nearest English phones."""
    if not espeak.languages()[language.lower()].startswith("sit/cmn"):
        return " ".join(symbols)
    ipa = " ".join(_MANDARIN.get(symbol, symbol) for symbol in symbols)
    return ipa.replace("j j", "j").replace("w w", "w")  # eSpeak writes "you" as j iou


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


def stressed_ipa(words: Sequence[Sequence[str]], tie: str = "") -> str:
    """Return ARPAbet phones of each word in IPA with the stress that :func:`phones_to_espeak` gives them.

    Args:
        words: phones of each word.
        tie: put between the letters of a diphthong or an affricate.
    """
    written = []
    for phones in map(strip_stress, words):
        stressed = _stressed(phones)
        ipa = ""
        for index, phone in enumerate(phones):
            letters = "ə" if phone == "AH" and index != stressed else _SPELLING[phone][1]
            two = len(letters) == 2 and letters[1] not in "ːɹ"
            ipa += ("ˈ" if index == stressed else "") + (tie.join(letters) if two else letters)
        written.append(ipa)
    return " ".join(written)


def espeak_words(spelled: str) -> list[list[str]]:
    """Return the ARPAbet phones of each word of eSpeak phonemes, with or without their double brackets.

    Raises:
        PronunciationError: a phoneme has no ARPAbet phone.
    """
    return [_espeak_to_phones(word) for word in spelled.removeprefix("[[").removesuffix("]]").split()]


def _stressed(phones: Sequence[str]) -> int:
    """Return which phone of a word is stressed: its first full vowel, -1 where it has no vowel."""
    vowels = [index for index, phone in enumerate(phones) if phone in VOWELS]
    full = [index for index in vowels if phones[index] != "AH"]
    return (full or vowels or [-1])[0]


def _spell(phones: Sequence[str]) -> str:
    stressed = _stressed(phones)
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
            key = sayable(re.sub(r"\(\d+\)$", "", word)).upper().replace("’", "'")
            lexicon.setdefault(key, strip_stress(phones))
        except PronunciationError as error:
            raise ManifestError(f"{path}:{number}: {error}") from error
    return lexicon
