"""Kokoro's voices, by files of its format made here, and by real ones where KWS_TEST_VOICES names them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from data_prep.synthesis import kokoro
from data_prep.synthesis.espeak import SynthesisError
from data_prep.synthesis.kokoro import KokoroVoice, kokoro_voices, split_of
from data_prep.synthesis.kokoro_symbols import NUMBERS, symbols_of
from data_prep.synthesis.phones import phones_to_espeak
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError, DependencyError
from tests.support.voices import SAMPLES_PER_SYMBOL, write_kokoro

REAL = os.environ.get("KWS_TEST_VOICES")
"""Folder of voices with the real files of Kokoro."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KWS_VOICES", str(tmp_path))
    return write_kokoro(tmp_path)


def pitch_hz(waveform: np.ndarray) -> float:
    """Return the strongest frequency of a hum."""
    return float(np.abs(np.fft.rfft(waveform, 1 << 18)).argmax() * SAMPLE_RATE / (1 << 18))


@pytest.mark.parametrize(
    ("text", "language", "symbols"),
    [
        ("hey computer", "en-us", "hˈA kəmpjˈuɾəɹ"),
        ("hey computer", "en-gb", "hˈA kəmpjˈuːtə"),
        ("charger, every bird!", "en-us", "ʧˈɑɹʤəɹ, ˈɛvɹi bˈɜɹd!"),
        ("about nowhere", "en-gb-scotland", "əbˌWt nˈɔːwAɹ"),
        ("hola coche", "es", "ˈola kˈoʧe"),
        ("北京", "cmn", "pei↓ʨi→ŋ"),
        (phones_to_espeak([["HH", "AH", "L", "OW"], ["CH", "ER", "CH"]]), "en-us", "həlˈO ʧˈɜɹʧ"),
    ],
)
def test_a_text_becomes_symbols_of_the_model(text: str, language: str, symbols: str):
    assert symbols_of(text, language) == symbols


def test_symbols_have_the_numbers_of_the_model():
    assert len(NUMBERS) == 114
    assert [NUMBERS[symbol] for symbol in "$;ˈkA→ᵻ" if symbol in NUMBERS] == [1, 156, 53, 24, 171, 177]


def test_speech_is_as_long_as_its_symbols_and_the_same_each_time(folder: Path):
    said = KokoroVoice().speak("hey computer")
    length = len(symbols_of("hey computer", "en-us")) * SAMPLES_PER_SYMBOL * SAMPLE_RATE / kokoro.RATE_HZ
    assert said.dtype == np.float32 and len(said) == pytest.approx(length, abs=2)
    assert np.array_equal(said, KokoroVoice().speak("hey computer"))
    assert len(KokoroVoice(speed=1.25).speak("hey computer")) == pytest.approx(length / 1.25, abs=2)


def test_a_mixture_lies_between_its_voices_and_a_tract_moves_the_pitch(folder: Path):
    low, high = (pitch_hz(KokoroVoice(name).speak("hello")) for name in ("af_alloy", "bm_lewis"))
    with pytest.raises(ConfigError, match="af_alloy .train. and bm_lewis .dev. are of two splits"):
        KokoroVoice("af_alloy", "bm_lewis", 0.5)
    assert low < pitch_hz(KokoroVoice("af_alloy", "bm_george", 0.5).speak("hello")) < high
    short = KokoroVoice("af_alloy", tract=1.1).speak("hello")
    assert pitch_hz(short) == pytest.approx(1.1 * low, rel=0.01)
    assert len(short) == pytest.approx(len(KokoroVoice("af_alloy").speak("hello")), rel=0.01)


def test_hundreds_of_speakers_and_no_voice_in_two_splits(folder: Path):
    speakers = kokoro_voices("en")
    assert len({speaker.id for speaker in speakers}) == len(speakers) == 320
    voices_of = {
        split: {name for one in speakers if one.split == split for name in (one.name, one.other) if name}
        for split in ("train", "dev", "test")
    }
    assert {split: len(names) for split, names in voices_of.items()} == {"train": 18, "dev": 4, "test": 4}
    assert not voices_of["train"] & (voices_of["dev"] | voices_of["test"])
    assert not voices_of["dev"] & voices_of["test"]
    assert not {"af_nicole", "am_santa"} & set.union(*voices_of.values())
    assert {speaker.pronunciation for speaker in speakers} == {"en-us"}
    assert kokoro_voices("en") == speakers, "the same each time"


def test_other_languages_have_voices_of_their_own(folder: Path):
    assert {one.split for one in kokoro_voices("fr")} == {"train"}
    assert {one.split for one in kokoro_voices("cmn")} == {"train", "dev", "test"}
    assert {one.reads for one in kokoro_voices("es")} == {"es"} and kokoro_voices("de") == []
    assert {one.name for one in kokoro_voices("en-gb", ("bf_emma",))} == {"bf_emma"}


def test_texts_that_cannot_be_said_are_named(folder: Path):
    with pytest.raises(SynthesisError, match="text '...' makes no sound"):
        KokoroVoice().speak("...")
    with pytest.raises(SynthesisError, match="sounds, Kokoro's voices say 510 at once; cut it"):
        KokoroVoice().speak("hello " * 200)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "bob"}, "voice 'bob' is not one of Kokoro's: af_alloy"),
        ({"speed": 3.0}, "voice speed is 3.0, allowed are 0.5 to 2"),
        ({"tract": 2.0}, "voice tract is 2.0, allowed are 0.7 to 1.4"),
        ({"share": 1.5}, "voice share is 1.5, allowed are 0 to 1"),
    ],
)
def test_settings_out_of_range_are_named(values: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        KokoroVoice(**values)


def test_missing_and_damaged_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(folder: Path, message: str) -> None:
        monkeypatch.setenv("KWS_VOICES", str(folder))
        with pytest.raises(DependencyError, match=message):
            KokoroVoice().speak("hello")

    refused(tmp_path / "none", "kokoro-v1.0.int8.onnx: no such file; .*`kws voices fetch kokoro`")
    cut = write_kokoro(tmp_path / "cut")
    (cut / kokoro.MODEL).write_bytes((cut / kokoro.MODEL).read_bytes()[:200])
    refused(cut, "int8.onnx: is damaged or another file")
    other = write_kokoro(tmp_path / "other", rename={"tokens": "input_ids"})
    refused(other, "its inputs are input_ids, speed, style, expected tokens")
    torn = write_kokoro(tmp_path / "torn")
    (torn / kokoro.STYLES).write_bytes((torn / kokoro.STYLES).read_bytes()[:5000])
    refused(torn, "voices-v1.0.bin: is damaged")
    few = write_kokoro(tmp_path / "few")
    with (few / kokoro.STYLES).open("wb") as file:
        np.savez(file, af_alloy=np.zeros((1, 1, 256), np.float32))
    refused(few, "it lacks voice")


def test_files_are_those_of_the_release():
    model, styles = kokoro.files()
    assert model.url.endswith("/model-files-v1.0/kokoro-v1.0.int8.onnx")
    assert styles.url.endswith("/model-files-v1.0/voices-v1.0.bin") and styles.size == 28_214_398


@pytest.mark.slow
@pytest.mark.skipif(
    REAL is None,
    reason="Kokoro's files are no part of the repository: `kws voices fetch kokoro`, "
    "and name their folder in KWS_TEST_VOICES",
)
def test_the_real_voices_say_a_phrase_that_the_recogniser_hears(monkeypatch: pytest.MonkeyPatch):
    from data_prep.fetching import digest
    from data_prep.synthesis import voice_files
    from data_prep.synthesis.phones import text_to_phones
    from kws.encoders.sources.embedded_weights import load_recognizer
    from kws.phones import collapse, encode

    monkeypatch.setenv("KWS_VOICES", str(REAL))
    for file in kokoro.files():
        assert digest(voice_files.folder() / file.name) == file.digest
    said = KokoroVoice("af_heart").speak("hey computer")
    heard = collapse(load_recognizer().hear(np.pad(said, 4000), 0.3).argmax(-1).tolist())
    wanted = encode(" ".join(text_to_phones("hey computer")))
    assert len(set(heard) & set(wanted)) >= 0.6 * len(set(wanted))
    assert split_of("af_heart") == "train" and 0.5 < len(said) / SAMPLE_RATE < 2.5
