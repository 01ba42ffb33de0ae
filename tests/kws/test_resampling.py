"""Resampling in pieces is resampling as a whole, with soxr and without; the two agree."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import librosa
import numpy as np
import pytest

from kws.resampling import Resampler, SincStream

RATES = [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 12_345]


def noise(rate: int, seconds: float, below_hz: float) -> np.ndarray:
    """Return noise that holds nothing above a frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(rate).standard_normal(round(rate * seconds)))
    spectrum[np.fft.rfftfreq(round(rate * seconds), 1 / rate) > below_hz] = 0
    waveform = np.fft.irfft(spectrum, round(rate * seconds))
    return (0.3 * waveform / np.abs(waveform).max()).astype(np.float32)


def cut(waveform: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield pieces of 0 to 999 samples, and whether one is the last."""
    rng, start = np.random.default_rng(0), 0
    while start < len(waveform):
        stop = start + int(rng.integers(0, 1000))
        yield waveform[start:stop], stop >= len(waveform)
        start = stop


@pytest.mark.parametrize("with_soxr", [True, False])
@pytest.mark.parametrize("rate", RATES)
def test_pieces_join_to_the_whole(rate: int, with_soxr: bool, monkeypatch: pytest.MonkeyPatch):
    if not with_soxr:
        monkeypatch.setitem(sys.modules, "soxr", None)
    for count in (1, 2, 700, rate // 4 + 1):
        waveform = noise(rate, 0.3, 3000)[:count]
        whole = Resampler(rate, 16_000).push(waveform, last=True)
        pieces = Resampler(rate, 16_000)
        joined = np.concatenate([pieces.push(piece, last) for piece, last in cut(waveform)])
        assert len(whole) == len(joined) == -(-count * 16_000 // rate)
        np.testing.assert_allclose(joined, whole, atol=0 if with_soxr else 1e-6)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_with_soxr_the_samples_are_those_of_librosa(rate: int):
    waveform = noise(rate, 1.0, rate / 2)
    expected = librosa.resample(waveform, orig_sr=rate, target_sr=16_000, res_type="soxr_hq")
    assert np.array_equal(Resampler(rate, 16_000).push(waveform, last=True), expected)


@pytest.mark.parametrize("rate", RATES)
def test_numpy_alone_agrees_with_soxr(rate: int):
    soxr = pytest.importorskip("soxr")
    waveform = noise(rate, 1.0, min(0.4 * rate, 6800))
    expected = soxr.resample(waveform, rate, 16_000, quality="soxr_vhq")[2000:-2000]
    found = SincStream(rate, 16_000).resample_chunk(waveform, last=True)[2000 : 2000 + len(expected)]
    noise_db = 10 * np.log10(np.mean((found - expected) ** 2) / np.mean(expected**2))
    assert noise_db < -75


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_numpy_alone_folds_nothing_down(rate: int):
    high = np.sin(2 * np.pi * 9_000 * np.arange(rate) / rate).astype(np.float32)
    assert np.abs(SincStream(rate, 16_000).resample_chunk(high, last=True)[2000:-2000]).max() < 1e-4


def test_the_same_rate_is_handed_through():
    waveform = noise(16_000, 0.1, 4000)
    assert Resampler(16_000, 16_000).push(waveform) is waveform
