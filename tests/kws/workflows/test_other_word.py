"""A folder of recordings of another word is noticed; right recordings are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.synthesis.espeak import speak, voices
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.enrollment.likeness import ORDERS, Likeness, other_orders
from kws.workflows.other_word import LISTENED_TO, NAMED, other_word, other_words
from tests.support.training import noise, write_manifest, write_wavs


@pytest.fixture(scope="module")
def recognizer() -> PhoneRecognizer:
    return load_recognizer(None)


def clips(text: str, language: str = "en-us", count: int = 4) -> list[tuple[Path, np.ndarray]]:
    said = [speak(text, voice) * np.float32(0.5) for voice in voices(count, 1, accents=(language,))]
    return [(Path(f"{index}.wav"), waveform) for index, waveform in enumerate(said)]


@pytest.mark.parametrize(
    ("keyword", "language", "other"),
    [("computer", "en", "jarvis"), ("jarvis", "en", "computer"), ("小爱同学", "cmn", "播放音乐")],
)
def test_recordings_of_another_word_are_named(
    keyword: str, language: str, other: str, recognizer: PhoneRecognizer
):
    accent = "en-us" if language == "en" else language
    assert other_word(keyword, clips(keyword, accent), language, recognizer) == []
    (note,) = other_word(keyword, clips(other, accent), language, recognizer)
    assert (
        note.startswith(f"{keyword}: ")
        and f"of 4 recordings that were listened to do not sound like {keyword!r}" in note
    )
    assert note.count(".wav") == NAMED


def test_one_bad_recording_and_words_that_cannot_be_said_raise_no_alarm(recognizer: PhoneRecognizer):
    mixed = [*clips("computer", count=3), (Path("cough.wav"), noise(1.0))]
    assert other_word("computer", mixed, "en", recognizer) == []
    assert other_word("computer", mixed, "xx", recognizer) == []
    assert other_word("…", mixed, "en", recognizer) == []
    assert other_word("computer", [], "en", recognizer) == []


def test_a_few_of_many_recordings_are_listened_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    listened: list[int] = []
    monkeypatch.setattr(
        Likeness, "sounds_like", lambda self, waveform: listened.append(len(waveform)) or False
    )
    paths = write_wavs(tmp_path, [noise(0.3 + 0.01 * index, index) for index in range(30)])
    rows = [{"path": path, "label": "computer"} for path in paths]
    (note,) = other_words(["computer"], write_manifest(tmp_path / "p.jsonl", rows), "en", [["K AH M"]])
    assert len(listened) == 10 <= LISTENED_TO and "10 of 10 recordings" in note and "000.wav" in note


def test_orders_are_different_from_the_phrase_and_the_same_each_time():
    orders = other_orders("K AH M P Y UW T ER", ["K AH M P Y UW T ER"])
    assert len(orders) == ORDERS == len(set(orders)) and orders == other_orders("K AH M P Y UW T ER", [])
    assert all(sorted(order.split()) == sorted("K AH M P Y UW T ER".split()) for order in orders)
    assert set(other_orders("AA N", ["AA N"])) == {"N AA"}
