"""Piper's voices against a stand-in for the package, and a real voice where KWS_TEST_VOICES holds one."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.fetching import FetchError, fetch
from data_prep.synthesis import piper
from data_prep.synthesis.engines import ENGINES
from data_prep.synthesis.espeak import SynthesisError
from kws.audio import SAMPLE_RATE
from kws.errors import AudioError, ConfigError, DependencyError
from tests.support.hub import serving


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "en_GB-many-low.onnx"
    path.write_bytes(b"")
    settings = {"num_speakers": 30, "espeak": {"voice": "en-gb"}}
    (tmp_path / "en_GB-many-low.onnx.json").write_text(json.dumps(settings), encoding="utf-8")
    piper._config.cache_clear()
    piper._load.cache_clear()
    return path


@pytest.fixture
def calls(monkeypatch):
    said = []

    def synthesize(text, options):
        said.append((text, options))
        if text == "...":
            return
        for _ in range(2):
            yield SimpleNamespace(sample_rate=32000, audio_float_array=np.full(3200, 0.5, np.float32))

    package = SimpleNamespace(
        PiperVoice=SimpleNamespace(load=lambda path: SimpleNamespace(synthesize=synthesize)),
        SynthesisConfig=lambda **options: options,
    )
    monkeypatch.setitem(sys.modules, "piper", package)
    return said


def test_speech_is_joined_and_resampled(model, calls):
    voice = piper.PiperVoice(model, speaker=3, length_scale=1.2)
    waveform = voice.speak("hello there")
    assert waveform.shape == (3200,)
    assert waveform.dtype == np.float32
    assert calls == [("hello there", {"speaker_id": 3, "length_scale": 1.2})]
    assert (voice.id, voice.language, voice.pronunciation) == ("piper-en_GB-many-low-3-l1.2", "en", "en-us")


def test_espeak_phonemes_become_ipa(model, calls):
    piper.PiperVoice(model).speak("say [[k@mpj'u:]]")
    assert calls[0][0] == "say [[kʌmpjuː]]"


def test_speakers_are_divided_between_the_splits(model):
    voices = piper.piper_voices(model)
    assert len(voices) == 30
    assert {voice.split for voice in voices} == {"train", "dev", "test"}
    assert sum(voice.split == "train" for voice in voices) > 18


def test_errors(model, calls, tmp_path):
    with pytest.raises(SynthesisError, match="makes no sound"):
        piper.PiperVoice(model).speak("...")
    with pytest.raises(ConfigError, match="speaker 30 does not exist, choose one of 0 to 29"):
        piper.PiperVoice(model, speaker=30)
    with pytest.raises(AudioError, match="other.onnx: no such file"):
        piper.PiperVoice(tmp_path / "other.onnx")
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(b"")
    with pytest.raises(AudioError, match="alone.onnx.json: no such file"):
        piper.PiperVoice(alone)
    (tmp_path / "alone.onnx.json").write_text("{", encoding="utf-8")
    with pytest.raises(AudioError, match="is not JSON"):
        piper.PiperVoice(alone)


def test_missing_package_names_the_install_line(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(DependencyError, match=r'pip install "kws\[piper\]"'):
        piper.PiperVoice(model).speak("hello")


def test_tracts_and_durations_make_more_speakers(model, calls):
    speakers = piper.speakers_of(model)
    assert len({one.id for one in speakers}) == len(speakers) == 30 * 9
    short = piper.PiperVoice(model, tract=1.25)
    assert short.id == "piper-en_GB-many-low-0-l1-t1.25" and len(short.speak("hello")) == 2560
    with pytest.raises(ConfigError, match="voice tract is 2, allowed are 0.7 to 1.4"):
        piper.PiperVoice(model, tract=2)


@pytest.fixture
def hub(monkeypatch):
    """Piper's list on this machine, with one voice."""
    with serving() as found:
        monkeypatch.setattr(piper, "HUB", found.address)
        place = "en/en_US/joe/medium"
        contents = {
            "en_US-joe-medium.onnx": b"weights",
            "en_US-joe-medium.onnx.json": b'{"espeak": {"voice": "en-us"}}',
            "MODEL_CARD": b"# Model card\n\n* License: CC0\n",
        }
        listed = []
        for name, content in contents.items():
            found.files[f"/rhasspy/piper-voices/resolve/main/{place}/{name}"] = content
            git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            entry = {"type": "file", "path": f"{place}/{name}", "size": len(content), "oid": git}
            if name.endswith(".onnx"):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            listed.append(entry)
        found.files[f"/api/models/rhasspy/piper-voices/tree/main/{place}"] = json.dumps(listed).encode()
        yield found


def test_a_voice_of_the_list_is_fetched_with_its_card(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("KWS_VOICES", str(tmp_path))
    paths = fetch(piper.files("en_US-joe-medium"), tmp_path)
    assert [path.name for path in paths] == [
        "en_US-joe-medium.onnx", "en_US-joe-medium.MODEL_CARD", "en_US-joe-medium.onnx.json",
    ]  # fmt: skip
    assert piper.local_voices() == [tmp_path / "piper" / "en_US-joe-medium.onnx"]
    assert piper.license(piper.local_voices()[0]) == "CC0"
    (info,) = ENGINES["piper"].voices()
    assert (info.id, info.language, info.license) == ("piper:en_US-joe-medium", "en-us", "CC0")


def test_a_changed_voice_and_an_unknown_name_are_refused(hub, tmp_path):
    place = "/rhasspy/piper-voices/resolve/main/en/en_US/joe/medium/"
    hub.files[place + "en_US-joe-medium.onnx"] = b"Weights"
    with pytest.raises(FetchError, match="its checksum is"):
        fetch(piper.files("en_US-joe-medium"), tmp_path)
    with pytest.raises(ConfigError, match="'joe' is no name of Piper's list, such as en_US-joe-medium"):
        piper.files("joe")
    with pytest.raises(FetchError, match="the server says 404"):
        piper.files("en_US-nobody-low")
    hub.files["/api/models/rhasspy/piper-voices/tree/main/en/en_US/joe/medium"] = b"[]"
    with pytest.raises(FetchError, match="does not list the files of en_US-joe-medium"):
        piper.files("en_US-joe-medium")


def test_a_path_is_a_voice_too_and_a_missing_one_is_named(model, calls, tmp_path, monkeypatch):
    monkeypatch.setenv("KWS_VOICES", str(tmp_path / "none"))
    assert len(ENGINES["piper"].speak("hello", str(model))) == 3200
    with pytest.raises(
        ConfigError, match="'en_US-bob-low' of Piper is not there, there are: none; `kws voices f"
    ):
        ENGINES["piper"].speak("hello", "en_US-bob-low")


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KWS_TEST_VOICES") or importlib.util.find_spec("piper") is None,
    reason="piper-tts (GPL) and its voices are no part of what is set up: `pip install kws[piper]`, "
    "`kws voices fetch piper:en_US-joe-medium`, and name its folder in KWS_TEST_VOICES",
)
def test_a_real_voice_says_a_phrase(monkeypatch):
    monkeypatch.setenv("KWS_VOICES", os.environ["KWS_TEST_VOICES"])
    (path, *_) = piper.local_voices()
    said = ENGINES["piper"].speak("hey computer", path.stem)
    assert 0.4 < len(said) / SAMPLE_RATE < 3 and np.abs(said).max() > 0.05
