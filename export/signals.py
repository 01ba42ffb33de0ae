"""Deterministic test signals: what an exported graph is compared and timed on, without any recording."""

from __future__ import annotations

import numpy as np

from kws.pcm import SAMPLE_RATE

SYLLABLES_PER_S = 4.0  # the usual rate of speech
HARMONICS = 24
FORMANT_WIDTH_HZ = 200.0


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """Return (samples,) float32 that varies as speech does: syllables, hisses, pauses and a little noise."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE)
    time_s = np.arange(samples) / SAMPLE_RATE
    syllables = int(seconds * SYLLABLES_PER_S) + 1
    pitch_hz = generator.uniform(90, 240, syllables)
    formants_hz = generator.uniform([300, 900, 2200], [800, 2200, 3500], (syllables, 3))
    loudness = generator.uniform(0.2, 1.0, syllables) * (generator.random(syllables) > 0.2)
    hissing = generator.random(syllables) > 0.7
    harmonic_hz = pitch_hz[:, None] * np.arange(1, HARMONICS + 1)  # (syllable, harmonic)
    distance = (harmonic_hz[:, :, None] - formants_hz[:, None, :]) / FORMANT_WIDTH_HZ
    weights = np.exp(-0.5 * distance**2).sum(axis=2)  # (syllable, harmonic)
    index = np.minimum((time_s * SYLLABLES_PER_S).astype(np.int64), syllables - 1)  # syllable of each sample
    glide = 1 - 0.1 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz[index] * glide) / SAMPLE_RATE
    voice = np.zeros(samples)
    for harmonic in range(HARMONICS):
        voice += weights[index, harmonic] * np.sin((harmonic + 1) * phase)
    hiss = hissing[index] * np.diff(generator.normal(size=samples + 1))
    envelope = loudness[index] * np.sin(np.pi * SYLLABLES_PER_S * time_s) ** 2
    mixed = 0.12 * envelope * (voice + hiss) + 0.003 * generator.normal(size=samples)
    waveform: np.ndarray = np.clip(mixed, -1, 1).astype(np.float32)
    return waveform


def tone(seconds: float, frequency_hz: float, amplitude: float = 0.5) -> np.ndarray:
    """Return (samples,) float32 of a sine."""
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    """Return (samples,) float32 of white noise with standard deviation ``level``, clipped to [-1, 1]."""
    values = level * np.random.default_rng(seed).normal(size=round(seconds * SAMPLE_RATE))
    return np.clip(values, -1, 1).astype(np.float32)


def silence_then_speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Return (samples,) float32: digital silence for the first half, so that a zero start is heard too."""
    waveform = speech_like(seconds, seed)
    waveform[: len(waveform) // 2] = 0
    return waveform
