"""Noise as homes and machines make it, from random numbers: for people who have no noise recordings.

Each noise mixes up to three layers, of which a recording of a room holds one or more: a coloured background
whose loudness may drift, impacts (dishes, steps, keys) that ring in a few modes, and a hum of harmonics (a
fan, a motor). Source of the layers: Farnell, Designing Sound, MIT Press 2010; impacts as damped modes after
van den Doel & Pai 1998, doi:10.1162/105474698565794.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft

from data_prep.augmentation.levels import db_to_gain, rms
from data_prep.augmentation.seeding import stable_rng
from kws.audio import SAMPLE_RATE

NUM_NOISES = 96
NOISE_SAMPLES = 2**16
"""4.1 s of each; the end meets the start without a step."""
SHARES = {"background": 0.85, "impacts": 0.5, "hum": 0.3}
"""Of noises that hold each layer."""
LOWEST_HZ = 20.0
"""The colour stays level below this: nobody hears it."""
LAYER_LEVEL_DB = (-15.0, 0.0)
"""Smallest and largest level of a layer, drawn evenly."""


@lru_cache(maxsize=4)
def made_noises(seed: int) -> tuple[np.ndarray, ...]:
    """Make :data:`NUM_NOISES` noises.

    Args:
        seed: train, dev and test take different ones.
    Returns:
        (NOISE_SAMPLES,) float32 each, with an RMS of 0.1, read-only and periodic.
    """
    return tuple(_noise(stable_rng(seed, "made noise", number)) for number in range(NUM_NOISES))


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Mix the layers that one noise holds."""
    layers = {"background": background, "impacts": impacts, "hum": hum}
    held = [name for name, share in SHARES.items() if rng.random() < share] or ["background"]
    noise = np.zeros(NOISE_SAMPLES, np.float32)
    for name in held:
        layer = layers[name](rng)
        noise += layer * np.float32(db_to_gain(rng.uniform(*LAYER_LEVEL_DB)) / rms(layer))
    noise *= np.float32(0.1 / rms(noise))
    noise.setflags(write=False)
    return noise


def background(rng: np.random.Generator) -> np.ndarray:
    """Return noise of a random colour with a few bumps; the loudness of half of them drifts."""
    hz = np.maximum(fft.rfftfreq(NOISE_SAMPLES, 1 / SAMPLE_RATE), LOWEST_HZ)
    octaves = np.log2(hz / 1000)
    level_db = -rng.uniform(0.0, 7.0) * octaves  # white to steeper than brown
    for _ in range(rng.integers(0, 6)):
        place, width = rng.uniform(-3.5, 3.0), rng.uniform(0.1, 1.0)
        level_db += rng.normal(0, 8) * np.exp(-0.5 * ((octaves - place) / width) ** 2)
    noise: np.ndarray = fft.irfft(_white_spectrum(rng) * 10 ** (level_db / 20), NOISE_SAMPLES)
    if rng.random() < 0.5:
        noise *= np.exp(rng.uniform(0.2, 1.0) * _slow(rng, 10 ** rng.uniform(-0.5, 1.0)))
    return noise.astype(np.float32)


def impacts(rng: np.random.Generator) -> np.ndarray:
    """Return blows at random times and levels that ring in a few damped modes, with a burst of noise."""
    blows = np.zeros(NOISE_SAMPLES)
    count = rng.poisson(10 ** rng.uniform(-0.3, 1.2) * NOISE_SAMPLES / SAMPLE_RATE) + 1
    blows[rng.integers(0, NOISE_SAMPLES, count)] = 10 ** (rng.normal(0, 8, count) / 20)
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    ring = np.zeros(SAMPLE_RATE)
    for _ in range(rng.integers(1, 6)):
        hz, decay_s = 10 ** rng.uniform(2.3, 3.85), 10 ** rng.uniform(-2.3, -0.7)
        ring += rng.uniform(0.2, 1) * np.exp(-time_s / decay_s) * np.sin(2 * np.pi * hz * time_s)
    decay_s = 10 ** rng.uniform(-2.5, -1.0)
    ring += rng.uniform(0, 1) * np.exp(-time_s / decay_s) * rng.standard_normal(SAMPLE_RATE)
    noise: np.ndarray = fft.irfft(fft.rfft(blows) * fft.rfft(ring, NOISE_SAMPLES), NOISE_SAMPLES).astype(
        np.float32
    )
    return noise


def hum(rng: np.random.Generator) -> np.ndarray:
    """Return harmonics of a tone between 40 and 600 Hz that drifts by up to 3 %."""
    hz = 10 ** rng.uniform(1.6, 2.78) * np.exp(rng.uniform(0, 0.03) * _slow(rng, 1.0))
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    phase *= 2 * np.pi * np.round(phase[-1] / (2 * np.pi)) / phase[-1]  # whole periods: no step at the end
    tilt, found = rng.uniform(0.3, 2.0), np.zeros(NOISE_SAMPLES)
    for harmonic in range(1, min(16, int(0.45 * SAMPLE_RATE / hz.max())) + 1):
        found += rng.uniform(0.3, 1) * harmonic**-tilt * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    return found.astype(np.float32)


def _white_spectrum(rng: np.random.Generator) -> np.ndarray:
    spectrum: np.ndarray = fft.rfft(rng.standard_normal(NOISE_SAMPLES))
    return spectrum


def _slow(rng: np.random.Generator, cutoff_hz: float) -> np.ndarray:
    """Return (NOISE_SAMPLES,) noise below a frequency, of deviation 1."""
    hz = fft.rfftfreq(NOISE_SAMPLES, 1 / SAMPLE_RATE)
    spectrum = _white_spectrum(rng) * ((hz > 0) & (hz < max(cutoff_hz, 2 * hz[1])))
    found = fft.irfft(spectrum, NOISE_SAMPLES)
    noise: np.ndarray = found / found.std()
    return noise
