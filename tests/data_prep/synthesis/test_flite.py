"""Flite's voices: what they say, how long and how high, and what they refuse."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from data_prep.synthesis import flite
from data_prep.synthesis.espeak import SynthesisError
from data_prep.synthesis.flite import FliteVoice, flite_voices
from data_prep.synthesis.phones import phones_to_espeak
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError, DependencyError

installed = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")
TEXT = "hello my friend, how are you"


def pitch_hz(waveform: np.ndarray) -> float:
    """Return the median over frames of 64 ms of the lag, from 1/400 to 1/60 s, at which a frame repeats."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 1024)[::256]
    voiced = frames[np.square(frames).mean(axis=1) > 0.1 * np.square(frames).mean()]
    spectra = np.fft.rfft(voiced - voiced.mean(axis=1, keepdims=True), 2048)
    repeats = np.fft.irfft(np.square(np.abs(spectra)))[:, :1024] / np.arange(1024, 0, -1)
    low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    return float(SAMPLE_RATE / np.median(low + repeats[:, low:high].argmax(axis=1)))


@installed
def test_a_shorter_vocal_tract_is_higher_and_no_quicker():
    plain, short = FliteVoice("rms").speak(TEXT), FliteVoice("rms", tract=1.25).speak(TEXT)
    assert plain.dtype == np.float32 and 1.0 < len(plain) / SAMPLE_RATE < 4.0
    assert len(short) == pytest.approx(len(plain), rel=0.1)
    assert pitch_hz(short) == pytest.approx(1.25 * pitch_hz(plain), rel=0.1)
    slow = FliteVoice("rms", stretch=1.4).speak(TEXT)
    assert len(slow) == pytest.approx(1.4 * len(plain), rel=0.1)


@installed
def test_phonemes_are_read_as_phones():
    said = FliteVoice().speak(phones_to_espeak([["HH", "AH", "L", "OW"]]))
    assert 0.3 < len(said) / SAMPLE_RATE < 1.5 and np.abs(said).max() > 0.05


@installed
def test_a_text_without_sound_is_named():
    with pytest.raises(SynthesisError, match="text '' "):
        FliteVoice().speak("")


@installed
def test_voices_have_names_of_their_own():
    voices = flite_voices()
    assert len({voice.id for voice in voices}) == len(voices) == 72
    assert {voice.split for voice in voices} == {"train"}


def test_without_the_program_there_are_no_voices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    assert flite_voices() == []
    with pytest.raises(DependencyError, match="apt install flite"):
        FliteVoice().speak("hello")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "bob"}, "voice 'bob' is not one of Flite's: awb, kal16, rms, slt"),
        ({"tract": 2.0}, "voice tract is 2.0, allowed are 0.7 to 1.4"),
        ({"stretch": 0.1}, "voice stretch is 0.1, allowed are 0.5 to 2"),
    ],
)
def test_settings_out_of_range_are_named(values: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        FliteVoice(**values)
