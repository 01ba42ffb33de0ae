"""Noise comes at the wanted ratio to the active speech, whatever its source."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from data_prep.augmentation import AddNoise, NoiseBank, stable_rng
from data_prep.augmentation.levels import active_rms
from data_prep.augmentation.noise import colored_noise
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError

SINE_LEVEL_DBFS = 20 * np.log10(0.2 / np.sqrt(2))


def level_dbfs(waveform: np.ndarray) -> float:
    """Level over all samples, in double precision."""
    return 10 * float(np.log10(np.mean(waveform.astype(np.float64) ** 2)))


def test_active_level_ignores_silence(clip: np.ndarray) -> None:
    assert 20 * np.log10(active_rms(clip)) == pytest.approx(SINE_LEVEL_DBFS, abs=0.01)


def test_active_level_of_little_or_nothing() -> None:
    assert active_rms(np.zeros(16_000, np.float32)) == 0.0
    assert active_rms(np.zeros(0, np.float32)) == 0.0
    assert active_rms(np.full(100, 0.5, np.float32)) == pytest.approx(0.5)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 25.0])
@pytest.mark.parametrize("kind", ["coloured", "made", "recording", "babble"])
def test_snr_is_what_was_asked(clip: np.ndarray, bank: NoiseBank, kind: str, snr_db: float) -> None:
    transform = AddNoise(
        snr_db=(snr_db, snr_db),
        probability=1.0,
        bank=None if kind in ("coloured", "made") else bank,
        speech=bank if kind == "babble" else None,
        colored_share=float(kind == "coloured"),
        babble_share=1.0,
    )
    for item in range(6):
        params = transform.draw(stable_rng(item))
        assert params["kind"] == kind
        added = transform.apply(clip, params) - clip
        assert SINE_LEVEL_DBFS - level_dbfs(added) == pytest.approx(snr_db, abs=0.3)


def test_drawn_ratios_fill_the_range() -> None:
    transform = AddNoise(snr_db=(0.0, 25.0), probability=0.7)
    draws = [transform.draw(stable_rng("range", item)) for item in range(2000)]
    ratios = [params["snr_db"] for params in draws if params]
    assert len(ratios) / 2000 == pytest.approx(0.7, abs=0.04)
    assert 0.0 <= min(ratios) < 0.5 and 24.5 < max(ratios) <= 25.0
    assert np.mean(ratios) == pytest.approx(12.5, abs=0.8)


@pytest.mark.parametrize(
    ("color", "decibels_per_octave"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)]
)
def test_colors_fall_with_frequency(color: str, decibels_per_octave: float) -> None:
    frequencies_hz, power = signal.welch(colored_noise(color, seed=0), fs=SAMPLE_RATE, nperseg=4096)
    band = (frequencies_hz > 100) & (frequencies_hz < 6000)
    slope, _ = np.polyfit(np.log2(frequencies_hz[band]), 10 * np.log10(power[band]), 1)
    assert slope == pytest.approx(decibels_per_octave, abs=0.15)


def test_other_seeds_give_other_colored_noise() -> None:
    assert abs(np.corrcoef(colored_noise("white", 0), colored_noise("white", 1))[0, 1]) < 0.01


def test_silent_clip_gets_noise_at_a_drawn_level() -> None:
    transform = AddNoise(probability=1.0, silent_level_dbfs=(-40.0, -40.0))
    noisy = transform(np.zeros(16_000, np.float32), stable_rng(0))
    assert level_dbfs(noisy) == pytest.approx(-40.0, abs=0.01)


def test_silent_noise_changes_nothing(clip: np.ndarray, bank: NoiseBank) -> None:
    for recording in bank.clips:
        recording[:] = 0.0
    for speech in (None, bank):
        transform = AddNoise(probability=1.0, bank=bank, speech=speech, colored_share=0.0, babble_share=1.0)
        assert np.array_equal(transform(clip, stable_rng(0)), clip)


def test_replay_without_the_bank_is_refused(clip: np.ndarray) -> None:
    params = {"snr_db": 5.0, "silent_level_dbfs": -40.0, "kind": "recording", "recording": 0, "position": 0.1}
    with pytest.raises(ConfigError, match="'recording' needs the bank"):
        AddNoise().apply(clip, params)


def test_unknown_color_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"add_noise.colours: got \['mauve'\], allowed some of white, pink, brown"
    ):
        AddNoise(colors=("mauve",))
