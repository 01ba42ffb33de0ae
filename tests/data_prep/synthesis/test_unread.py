"""What eSpeak does not read of a phrase: no letter, digit or word of it vanishes without a word."""

from __future__ import annotations

import unicodedata

import pytest

from data_prep.synthesis import espeak
from data_prep.synthesis.phones import PronunciationError, pronunciations, read_lexicon, text_to_phones
from data_prep.synthesis.phrases import check_phrase
from data_prep.synthesis.spoken_form import sayable, words
from data_prep.synthesis.unread import language_of_script


@pytest.mark.parametrize(
    ("composed", "language"),
    [("café", "en"), ("Käse", "de"), ("niño", "es"), ("Zoë", "en"), ("Ångström", "sv"), ("tiếng Việt", "vi")],
)
def test_decomposed_letters_are_read_as_composed_ones(composed: str, language: str):
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    assert pronunciations(decomposed, language) == pronunciations(composed, language)
    assert check_phrase(decomposed, language) == check_phrase(composed, language)
    voice = espeak.Voice(language)
    assert espeak.speak(decomposed, voice).tobytes() == espeak.speak(composed, voice).tobytes()


@pytest.mark.parametrize("digit", ["２", "②", "²", "٢", "२", "𝟐", "➁"])
def test_digits_of_every_script_are_said(digit: str):
    assert text_to_phones(f"computer {digit}") == text_to_phones("computer 2")


def test_fractions_and_vowels_that_espeak_reads_whole_stay_whole():
    assert sayable("½ ทำ ａｂｃ") == "½ ทำ abc"


def test_words_keep_their_vowel_signs():
    assert words("Hey नमस्ते दुनिया, what's up") == ["hey", "नमस्ते", "दुनिया", "what's", "up"]
    assert sum(check_phrase("नमस्ते दुनिया", "hi"), []) == text_to_phones("नमस्ते दुनिया", "hi")


def test_a_lexicon_is_found_however_its_words_were_typed(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text(unicodedata.normalize("NFD", "Zoë Z OW IY\no’clock AH K L AA K\n"), encoding="utf-8")
    lexicon = read_lexicon(path)
    assert text_to_phones("ZOË o'clock", lexicon=lexicon) == "Z OW IY AH K L AA K".split()


@pytest.mark.parametrize(
    ("phrase", "language", "named"),
    [
        ("computer 😀", "en", "nobody says '😀'"),
        ("😀", "en", "nobody says '😀'"),
        ("hey♪you", "en", "nobody says '♪'"),
        ("5", "cv", "eSpeak's 'cv' reads no sound of '5'"),
        ("41", "lb", "eSpeak's 'lb' reads no sound of '40' of '41'"),
    ],
)
def test_a_word_without_a_sound_is_named(phrase: str, language: str, named: str):
    for read in (pronunciations, check_phrase):
        with pytest.raises(PronunciationError, match=f"phrase '{phrase}': {named}.*write it"):
            read(phrase, language)


@pytest.mark.parametrize("phrase", ["hey , computer !", "hey - computer", "“hey computer”", "hey… computer"])
def test_punctuation_makes_no_sound_and_is_no_word(phrase: str):
    assert pronunciations(phrase) == pronunciations("hey computer")


def test_a_word_of_the_lexicon_needs_no_reading_of_espeak():
    assert pronunciations("5", "cv", {"5": ["P", "IH"]}) == [["P", "IH"]]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("привет", "ru"), ("привіт їжак", "uk"), ("ћевап", "sr"), ("小爱同学", "cmn"), ("こんにちは", "ja"),
        ("日本のコンピュータ", "ja"), ("안녕", "ko"), ("नमस्ते", "hi"), ("γεια σου", "el"), ("مرحبا", "ar"),
        ("سلام چطوری", "fa"), ("שלום", "he"), ("สวัสดี", "th"), ("வணக்கம்", "ta"), ("გამარჯობა", "ka"),
        ("բարեւ", "hy"), ("ሰላም", "am"), ("hello", None), ("𒀀", None),
    ],
)  # fmt: skip
def test_an_unread_script_suggests_its_language(text: str, language: str | None):
    assert language_of_script(text) == language
    if language is not None:
        with pytest.raises(PronunciationError, match=f"does not read .*; try `language={language}`"):
            pronunciations(text, "en")


def test_a_crash_of_the_library_ends_no_process_but_its_own():
    with pytest.raises(espeak.SynthesisError, match="text '8': eSpeak NG crashes on it in language 'kl'"):
        pronunciations("8", "kl")
    with pytest.raises(espeak.SynthesisError, match="text '8': eSpeak NG crashes"):
        espeak.speak("8", espeak.Voice("kl"))
    assert espeak.crashing(["0", "7", "8", "aluu"], "kl") == {"0", "8"}
    assert text_to_phones("aluu", "kl") == ["AA", "L", "UW"]
