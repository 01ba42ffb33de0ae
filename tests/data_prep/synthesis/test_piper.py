"""The Piper plug-in against a stand-in for its package."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep.synthesis import piper
from data_prep.synthesis.espeak import SynthesisError
from kws.errors import AudioError, ConfigError, DependencyError


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
    with pytest.raises(DependencyError, match="pip install piper-tts"):
        piper.PiperVoice(model).speak("hello")
