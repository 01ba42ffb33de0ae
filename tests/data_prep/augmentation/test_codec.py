"""Codecs keep length and timing, and lose what they are known to lose."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from data_prep.augmentation import ApplyCodec
from data_prep.augmentation.codec import mu_law_table
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError, DependencyError

ALL = [
    {"codec": "mu_law"},
    {"codec": "vorbis", "compression": 0.7},
    {"codec": "opus", "compression": 0.7},
]


def test_mu_law_table_against_published_decoder_values() -> None:
    """Levels of G.711's decoding table in 16 bits: the largest, segment edges, the smallest steps."""
    levels = np.unique(np.round(mu_law_table() * 32768).astype(int))
    assert levels.size == 255  # 256 codes, of which two stand for zero
    assert levels[-3:].tolist() == [30076, 31100, 32124]
    assert levels[levels >= 0][:4].tolist() == [0, 8, 16, 24]
    assert {15996, 7932, 3900, 1884, 876, 372, 120} <= set(levels.tolist())
    assert np.array_equal(levels, -levels[::-1])


def test_mu_law_error_is_within_half_a_step() -> None:
    samples = np.arange(-32635, 32636)
    error = np.abs(mu_law_table()[samples + 32768] * 32768 - samples)
    assert (error <= np.maximum(4, (np.abs(samples) + 132) / 32)).all()


@pytest.mark.parametrize("params", ALL, ids=lambda params: params["codec"])
@pytest.mark.parametrize("num_samples", [32_000, 12_345, 400])
def test_length_and_timing_stay(params: dict, num_samples: int) -> None:
    if params["codec"].upper() not in {"MU_LAW", *soundfile.available_subtypes("OGG")}:
        with pytest.raises(DependencyError, match=f"has no Ogg {params['codec'].title()}"):
            ApplyCodec(("opus",)).apply(np.zeros(num_samples, np.float32), params)
        return
    rng = np.random.default_rng(0)
    waveform = np.zeros(num_samples, np.float32)
    half = num_samples // 2
    tones = np.sin(
        2 * np.pi * np.outer(rng.uniform(300, 3000, 8), np.arange(num_samples - half)) / SAMPLE_RATE
    )
    waveform[half:] = 0.05 * tones.sum(axis=0)
    coded = ApplyCodec(("opus",)).apply(waveform, params)
    assert coded.shape == waveform.shape and coded.dtype == np.float32
    assert np.isfinite(coded).all()
    assert np.array_equal(coded, ApplyCodec(("opus",)).apply(waveform, params))
    assert not np.array_equal(coded, waveform)
    if num_samples > 10_000:
        lags = [float(np.dot(np.roll(coded, -lag), waveform)) for lag in range(-40, 41)]
        assert abs(int(np.argmax(lags)) - 40) <= 1


def test_unknown_codec_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"apply_codec.codecs: got \['amr'\], allowed one or more of mu_law, vorbis"
    ):
        ApplyCodec(codecs=("amr",))
