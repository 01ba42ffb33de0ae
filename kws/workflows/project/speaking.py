"""How a keyword is said, and voices to hear it in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kws.errors import ConfigError, KwsError

NUM_VOICES = 8
"""Voices that are offered at most."""
ESPEAK_VARIANTS = ("", "+f2", "+m3")
"""Voices of eSpeak that stand for all of them."""
SAYS_PHONES = "espeak:en-us"
"""The voice that can be given phones."""


@dataclass(frozen=True, slots=True)
class WayToSay:
    """One pronunciation of a keyword.

    Attributes:
        phones: ARPAbet, words apart by ` | `.
        lexicon: word in upper case -> its phones; empty where there is nothing to pick.
        said: what a voice is given so that it says exactly this.
    """

    phones: str
    lexicon: dict[str, list[str]]
    said: str


def ways_to_say(keyword: str, language: str = "en", spelled: str = "") -> list[WayToSay]:
    """Return the pronunciations to choose from, the usual one first.

    Args:
        keyword: what is said.
        language: eSpeak language code. Other languages than English have one way, which cannot be changed.
        spelled: how it sounds, spelled by a person, such as ``jar viss``; as many words as the keyword has,
            unless that is a single one. It comes first.
    Raises:
        KwsError: the keyword, or what was spelled, cannot be said.
    """
    from data_prep.synthesis.espeak import ENGLISH_ACCENTS
    from data_prep.synthesis.phones import pronunciations, texts_to_phones

    if language.split("-")[0] != "en":
        return [WayToSay(" ".join(phones), {}, keyword) for phones in pronunciations(keyword, language)]
    words = keyword.split()
    accents = list(dict.fromkeys(ENGLISH_ACCENTS)) if language == "en" else [language]
    found = [texts_to_phones(words, accent) for accent in accents]
    if spelled.strip():
        found.insert(0, _spelled(words, spelled, accents[0]))
    kept: list[WayToSay] = []
    for phones_of_words in found:
        if all(phones_of_words):
            way = _way(words, phones_of_words)
            kept += [way] if way not in kept else []
    return kept


def _spelled(words: list[str], spelled: str, accent: str) -> list[list[str]]:
    """Return the phones of each word by another spelling.

    Raises:
        ConfigError: the spelling has another number of words, or one that makes no sound.
    """
    from data_prep.synthesis.phones import texts_to_phones

    parts = texts_to_phones(spelled.split(), accent)
    if not all(parts):
        raise ConfigError(f"{spelled!r}: a part of it makes no sound; spell it with letters")
    if len(words) == 1:
        return [[phone for part in parts for phone in part]]
    if len(parts) != len(words):
        raise ConfigError(f"{spelled!r}: give {len(words)} words, as the keyword has, and not {len(parts)}")
    return parts


def _way(words: list[str], phones_of_words: list[list[str]]) -> WayToSay:
    from data_prep.synthesis.phones import phones_to_espeak

    lexicon = {word.upper(): phones for word, phones in zip(words, phones_of_words, strict=True)}
    return WayToSay(" | ".join(map(" ".join, phones_of_words)), lexicon, phones_to_espeak(phones_of_words))


def voices_to_hear(language: str = "en") -> list[str]:
    """Return names of a few installed voices that speak a language, as :func:`say_text` takes them."""
    from kws.workflows.voices import voices

    installed = [voice for voice in voices(language).voices if voice.is_installed]
    natural = [voice.id for voice in installed if not voice.id.startswith("espeak:")]
    accents = [voice.id for voice in installed if voice.id in ("espeak:en-us", "espeak:en-gb")] or [
        voice.id for voice in installed if voice.id.startswith("espeak:")
    ]
    formant = [f"{accent}{variant}" for variant in ESPEAK_VARIANTS for accent in accents[:2]][:3]
    return [*natural[: NUM_VOICES - len(formant)], *formant]


def say_text(voice: str, text: str, output: Path) -> Path:
    """Let a voice say a text into a WAV file; see :func:`kws.workflows.voices.say`."""
    from kws.workflows.voices import say

    return say(voice, text, output, overwrite=True).path


def languages_to_choose() -> list[str]:
    """Return the eSpeak language codes, English first; English alone where eSpeak is not installed."""
    from data_prep.synthesis import espeak

    try:
        codes = espeak.languages()
    except KwsError:
        return ["en"]
    return ["en", *(code for code in codes if code != "en")]
