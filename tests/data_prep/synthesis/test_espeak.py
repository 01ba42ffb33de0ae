"""eSpeak in process: sound, repeatability, voices and their splits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from data_prep.synthesis import espeak
from data_prep.synthesis.espeak import Voice
from data_prep.synthesis.unread import unread_letters
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError, DependencyError


@pytest.fixture
def _no_loader(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak._paths.cache_clear()
    espeak.languages.cache_clear()
    yield
    espeak._paths.cache_clear()


def test_speech_has_plausible_length_and_level():
    waveform = espeak.speak("hey computer", Voice())
    assert waveform.dtype == np.float32
    assert 0.5 * SAMPLE_RATE < len(waveform) < 2.0 * SAMPLE_RATE
    assert 0.1 < np.abs(waveform).max() <= 1.0
    # Speech has most of its energy below 4 kHz; a wrong sample rate or byte order would not.
    power = np.abs(np.fft.rfft(waveform)) ** 2
    assert power[: len(power) // 2].sum() > 0.9 * power.sum()


def test_same_call_is_bit_identical_whatever_was_said_before():
    voice = Voice("en-us", "f2")
    first = espeak.speak("hey computer", voice)
    espeak.speak("something else entirely", Voice("en-gb", "klatt4", speed_wpm=220))
    espeak.phonemes("and more")
    np.testing.assert_array_equal(espeak.speak("hey computer", voice), first)


NOISY = ("f2", "f3", "f5", "Alicia", "sandro", "victor", "Reed", "caleb")
"""Variants with noise: of eSpeak's own generator, and the last two of the C library's."""


def test_noise_is_the_same_in_every_process_and_order():
    digest = "import sys, hashlib; from data_prep.synthesis.espeak import Voice, speak; " + (
        "[print(name, hashlib.sha256(speak('hey computer', Voice(variant=name)).tobytes()).hexdigest()) "
        "for name in sys.argv[1:]]"
    )
    said = [
        subprocess.run([sys.executable, "-c", digest, *names], capture_output=True, text=True, check=True)
        for names in (NOISY, NOISY[::-1])
    ]
    assert sorted(said[0].stdout.split()) == sorted(said[1].stdout.split())
    assert len(set(said[0].stdout.split())) == 2 * len(NOISY)


@pytest.mark.parametrize("variant", NOISY)
def test_noise_follows_the_text_and_not_the_clock(variant: str, monkeypatch):
    voice = Voice(variant=variant)
    first = espeak.speak("hey computer", voice)
    with monkeypatch.context() as patched:
        patched.setattr(espeak._Library, "seed", lambda library, seed: None)
        assert not np.array_equal(espeak.speak("hey computer", voice), first)  # it has noise at all
    np.testing.assert_array_equal(espeak.speak("hey computer", voice), first)


@pytest.mark.parametrize(
    "other",
    [Voice("en-gb"), Voice(variant="f2"), Voice(pitch=80), Voice(speed_wpm=220), Voice(pitch_range=0)],
)
def test_each_property_of_a_voice_is_heard(other):
    base, changed = espeak.speak("hey computer", Voice()), espeak.speak("hey computer", other)
    length = min(len(base), len(changed))
    assert len(base) != len(changed) or np.abs(base[:length] - changed[:length]).max() > 0.05


def test_what_nobody_says_is_not_heard():
    voice = espeak.Voice()
    plain = espeak.speak("hey   you", voice)
    for text in ("hey 😀 you", "hey \x00 you", "hey \ud83d you"):
        np.testing.assert_array_equal(espeak.speak(text, voice), plain)


def test_speed_is_in_the_right_direction():
    slow, fast = (espeak.speak("one two three four five", Voice(speed_wpm=rate)) for rate in (110, 240))
    assert len(slow) > 1.6 * len(fast)


def test_every_variant_makes_sound():
    assert len(espeak.variants()) > 60
    for variant in espeak.variants():
        assert np.abs(espeak.speak("hey", Voice(variant=variant))).max() > 0.05, variant
    assert not {"Demonic", "robosoft", "whisper", "UniRobot", "fast"} & set(espeak.variants())


def test_phonemes_in_brackets_are_read_as_phonemes():
    spelled, written = (
        espeak.speak("[[k@mpj'u:t3]]", Voice("en-gb")),
        espeak.speak("computer", Voice("en-gb")),
    )
    assert len(spelled) == pytest.approx(len(written), rel=0.15)
    letters = espeak.speak("k m p j u t", Voice("en-gb"))
    assert len(letters) > 2 * len(spelled)


def test_phonemes_in_ipa():
    assert espeak.phonemes("computer").replace("ˈ", "") == "kəmpjuːɾɚ"
    assert espeak.phonemes_of_all(["one", "two. three"]) == [
        espeak.phonemes("one"),
        f"{espeak.phonemes('two')} {espeak.phonemes('three')}",
    ]


def test_phones_come_one_by_one_without_stress():
    assert espeak.segments_of_all(["Zeit, Pfund"], "de")[0] == [
        espeak.Segment(symbol) for symbol in "ts aɪ t pf ʊ n t".split()
    ]
    weekend = espeak.segments_of_all(["le weekend"], "fr")[0]  # the English voice reads the second word
    assert [segment.ipa for segment in weekend] == "l ə- w iː k ɛ n d".split()


@pytest.mark.parametrize(
    ("characters", "tones"), [("妈麻马骂", ["55", "35", "214", "51"]), ("我的", ["214", "11"])]
)
def test_the_five_tones_of_mandarin_are_told_apart(characters: str, tones: list[str]):
    said = espeak.segments_of_all([" ".join(characters)], "cmn")[0]
    assert [segment.tone for segment in said if segment.tone] == tones
    assert not any(character.isdigit() for segment in said for character in segment.ipa)


def test_what_a_foreign_voice_reads_has_no_tones():
    said = espeak.segments_of_all(["better 好"], "cmn")[0]
    assert [segment.ipa + segment.tone for segment in said] == "b ɛ t ə χ ɑu214".split()


@pytest.mark.parametrize(
    ("text", "language", "unread"),
    [
        ("英雄 喝咖啡 café", "cmn", "雄"),  # eSpeak has no -iong, and says "k sh eng two"
        ("好 丆 好", "cmn", "丆"),
        ("你好 Жук", "cmn", "Жку"),
        ("你 naïve", "en-gb", "你"),
        ("Größe 你", "de", "你"),
        ("こんにちは漢字", "ja", "字漢"),
        ("コーヒー", "ja", ""),  # alone, the long mark is read by a foreign voice
        ("кафе café", "ru", ""),
    ],
)
def test_letters_that_a_voice_does_not_read_are_found(text: str, language: str, unread: str):
    assert unread_letters(["plain", text], language) == sorted(unread)


@pytest.mark.parametrize("language", ["cmn", "yue", "vi", "de", "hi", "ar", "ja"])
def test_variants_speak_every_language_each_in_its_own_way(language: str):
    voices = espeak.voices(4, 3, accents=(language,), split="test")
    assert {voice.language for voice in voices} == {language}
    said = [espeak.speak("1 2 3", replace(voice, speed_wpm=160, pitch=50)) for voice in voices]
    assert all(np.abs(waveform).max() > 0.05 for waveform in said)
    assert len({waveform.tobytes() for waveform in said}) == 4


def test_voices_without_a_dictionary_say_nothing_and_are_not_offered():
    assert {"cmn", "yue", "en-us", "de"} <= set(espeak.languages())
    assert "fo" not in espeak.languages()
    with pytest.raises(ConfigError, match="language 'fo' is unknown to eSpeak NG"):
        espeak.speak("halló", Voice("fo"))


def test_voices_are_stable_distinct_and_extendable():
    voices = espeak.voices(150, seed=7)
    assert voices == espeak.voices(150, seed=7)
    assert voices[:20] == espeak.voices(20, seed=7)
    assert voices != espeak.voices(150, seed=8)
    assert len({voice.id for voice in voices}) == 150
    assert not any(" " in voice.id for voice in voices)
    assert len({voice.variant for voice in voices}) == len(espeak.variants()) + 1
    assert {voice.accent for voice in voices} == set(espeak.ENGLISH_ACCENTS)


def test_splits_share_no_variant_and_each_has_enough():
    of_split = {
        split: {voice.variant for voice in espeak.voices(200, split=split)} for split in espeak.SPLITS
    }
    assert not of_split["train"] & of_split["dev"]
    assert not of_split["train"] & of_split["test"]
    assert not of_split["dev"] & of_split["test"]
    assert min(map(len, of_split.values())) >= 8
    assert all(any(variant.startswith("f") for variant in names) for names in of_split.values())
    assert espeak.variant_split("klatt") == espeak.variant_split("klatt5")


def test_errors_name_what_is_near():
    with pytest.raises(ConfigError, match=r"language 'en-uss' is unknown.*en-us"):
        espeak.speak("hello", Voice("en-uss"))
    with pytest.raises(ConfigError, match=r"variant 'klat' is unknown.*klatt"):
        espeak.speak("hello", Voice(variant="klat"))
    with pytest.raises(espeak.SynthesisError, match=r"'\.\.\.' makes no sound"):
        espeak.speak("...", Voice())
    with pytest.raises(ConfigError, match="speed_wpm is 20, allowed are 80 to 450"):
        Voice(speed_wpm=20)
    with pytest.raises(ConfigError, match="split 'eval' is unknown"):
        espeak.voices(3, split="eval")


@pytest.mark.usefixtures("_no_loader")
def test_missing_library_names_the_install_line():
    with pytest.raises(DependencyError, match=r'pip install "kws\[tts\]"'):
        espeak.speak("hello", Voice())
