"""The check of one take: good ones pass, each fault is found, and what is not checked is said."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.synthesis.espeak import speak, voices
from kws.audio import SAMPLE_RATE
from kws.errors import AudioError
from kws.workflows.takes import TakeChecker
from tests.support.training import noise


@pytest.fixture(scope="module")
def checker() -> TakeChecker:
    return TakeChecker("computer", "en-us")


def take(text: str, accent: str = "en-us", *, before_s: float = 0.6, seed: int = 1) -> np.ndarray:
    """Return three seconds of a quiet room in which a voice says a text."""
    (voice,) = voices(1, seed, accents=(accent,))
    said = speak(text, voice) * np.float32(0.5)
    room = noise(3.0, level=0.0005)
    start = round(before_s * SAMPLE_RATE)
    end = min(len(room), start + len(said))
    room[start:end] += said[: end - start]
    return room


@pytest.mark.parametrize("accent", ["en-us", "en-gb", "en-gb-scotland", "en-029"])
def test_a_good_take_is_taken_in_every_accent(accent: str, checker: TakeChecker):
    found = checker.check(take("computer", accent))
    assert (found.fault, found.note) == ("", "")
    assert found.start_s == pytest.approx(0.6, abs=0.15) and 0.9 < found.end_s < 2.0
    assert -40 < found.level_db < -5


def test_each_fault_is_found_and_says_what_to_do(checker: TakeChecker):
    good = take("computer")
    clicked, hum = noise(3.0, level=0.0005), noise(3.0, level=0.0005)
    clicked[20_000:20_400] += noise(0.025, level=0.3)
    hum += 0.2 * np.sin(2 * np.pi * 50 / SAMPLE_RATE * np.arange(len(hum))).astype(np.float32)
    start, end = (round(at * SAMPLE_RATE) for at in (0.6, 0.6 + 0.35))
    takes = {
        "silent": [np.zeros(48_000, np.float32), noise(3.0, level=0.001), clicked, hum],
        "soft": [good * np.float32(0.01) + noise(3.0, level=1e-5, seed=2)],
        "clipped": [np.clip(good * np.float32(8), -1, 1)],
        "cut off": [good[start + 3500 :], good[:end]],
        "other words": [take("banana"), take("what is the weather like today")],
    }
    for fault, waveforms in takes.items():
        for waveform in waveforms:
            found = checker.check(waveform)
            assert found.fault == fault, found
            assert found.note.endswith(".") and found.note.count(".") == 1
    assert "'computer'" in checker.check(takes["other words"][0]).note
    assert "beginning" in checker.check(takes["cut off"][0]).note
    assert "end" in checker.check(takes["cut off"][1]).note


def test_a_room_with_hum_and_steady_noise_does_not_spoil_a_take(checker: TakeChecker):
    spoilt = take("computer") + noise(3.0, level=0.01, seed=3)
    spoilt += 0.1 * np.sin(2 * np.pi * 50 / SAMPLE_RATE * np.arange(len(spoilt))).astype(np.float32)
    assert checker.check(spoilt).fault == ""


def test_integers_are_read_and_what_is_no_audio_is_refused(checker: TakeChecker):
    assert checker.check(np.zeros(0, np.float32)).fault == "silent"
    assert checker.check(np.zeros(16_000, np.int16)).fault == "silent"
    with pytest.raises(AudioError, match="mono"):
        checker.check(np.zeros((2, 16_000), np.float32))


@pytest.mark.parametrize(("keyword", "language"), [("computer", "xx"), ("…", "en-us")])
def test_what_cannot_be_listened_for_is_said_once_and_levels_are_still_checked(keyword: str, language: str):
    checker = TakeChecker(keyword, language)
    (note,) = checker.notes
    assert keyword in note and "not checked" in note
    assert checker.check(take("banana")).fault == ""
    assert checker.check(np.zeros(48_000, np.float32)).fault == "silent"


def test_another_language_is_listened_to():
    mandarin = TakeChecker("小爱同学", "cmn")
    assert not mandarin.notes
    assert mandarin.check(take("小爱同学", "cmn")).fault == ""
    assert mandarin.check(take("播放音乐", "cmn")).fault == "other words"
