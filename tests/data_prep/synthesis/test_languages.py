"""Every language of eSpeak is read to the end: its numbers, and what people say to a device in it."""

from __future__ import annotations

import pytest

from benchmarks.everyday_phrases import PHRASES, numbers
from data_prep.synthesis import espeak
from data_prep.synthesis.phones import pronunciations, texts_to_phones

TENS = {str(ten) for ten in range(20, 100, 10)}
SILENT: dict[str, set[str]] = {
    "cv": set(numbers()),
    "chr-us-qaaa-x-west": set(numbers()),
    "sjn": set(numbers()),
    "gn": TENS,
    "lb": TENS - {"20", "30"},
    "nci": TENS - {"20", "30"},
    "qya": TENS | {"0"},
    "quc": {"0"},
}
"""Numbers for which eSpeak has no word: refused with a message."""
MAIN = ("es", "da", "ja", "ar", "pt-br", "hi", "de", "fr", "ru", "cmn", "ko")


def unread(texts: list[str], language: str) -> set[str]:
    """Return the texts that have no phones, or on which the library crashes."""
    crashing = espeak.crashing(texts, language)
    tried = [text for text in texts if text not in crashing]
    return crashing | {
        text for text, phones in zip(tried, texts_to_phones(tried, language), strict=True) if not phones
    }


@pytest.mark.parametrize("language", MAIN)
def test_everyday_phrases_are_read(language: str):
    espeak.crashing([word for phrase in PHRASES[language] for word in (phrase, *phrase.split())], language)
    for phrase in PHRASES[language]:
        assert pronunciations(phrase, language), phrase


@pytest.mark.slow
@pytest.mark.parametrize("language", espeak.languages())
def test_numbers_and_phrases_of_every_language_are_read(language: str):
    said = numbers(step=97)
    missing = unread(said, language)
    if language == "kl":  # crashes on many numbers with an 8 in them, and on 0
        assert missing and all("8" in text or text == "0" for text in missing)
    else:
        assert missing == SILENT.get(language, set()) & set(said)
    assert not unread(list(PHRASES.get(language, ())), language)
