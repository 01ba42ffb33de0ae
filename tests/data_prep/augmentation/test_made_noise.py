"""Made noise: what its layers hold, and that every noise can be mixed and looped."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from data_prep.augmentation import AddNoise, NoiseBank, stable_rng
from data_prep.augmentation.levels import rms
from data_prep.augmentation.made_noise import NOISE_SAMPLES, NUM_NOISES, background, hum, impacts, made_noises
from kws.audio import SAMPLE_RATE


def test_every_noise_is_another_one_of_the_same_level() -> None:
    noises = made_noises(0)
    assert len(noises) == NUM_NOISES
    assert {noise.tobytes() for noise in noises}.isdisjoint(noise.tobytes() for noise in made_noises(1))
    assert len({noise.tobytes() for noise in noises}) == NUM_NOISES
    for noise in noises:
        assert noise.dtype == np.float32 and noise.shape == (NOISE_SAMPLES,) and not noise.flags.writeable
        assert rms(noise) == pytest.approx(0.1, rel=1e-3)
    made_noises.cache_clear()
    assert all(np.array_equal(one, other) for one, other in zip(noises, made_noises(0), strict=True))


def test_the_end_meets_the_start() -> None:
    for noise in made_noises(0):
        steps = np.abs(np.diff(noise))
        assert abs(noise[0] - noise[-1]) <= max(float(steps.max()), 1e-3)


def test_backgrounds_are_of_many_colors() -> None:
    slopes = []
    for number in range(40):
        hz, power = signal.welch(background(stable_rng(number)), SAMPLE_RATE, nperseg=2048)
        band = (hz > 100) & (hz < 6000)
        slopes.append(np.polyfit(np.log2(hz[band]), 10 * np.log10(power[band]), 1)[0])
    assert min(slopes) < -5 and max(slopes) > -1.5  # from steeper than pink (3 dB an octave) to nearly white


def test_impacts_are_short_and_loud() -> None:
    """The peak of a steady noise is four to five deviations."""
    crests = []
    for number in range(20):
        layer = impacts(stable_rng(number))
        crests.append(float(np.abs(layer).max() / layer.std()))
    assert np.median(crests) > 8


def test_a_hum_has_its_power_in_harmonics_of_one_tone() -> None:
    for number in range(10):
        layer = hum(stable_rng(number))
        hz, power = signal.welch(layer, SAMPLE_RATE, nperseg=8192)
        loud = hz[power > 1e-3 * power.max()]
        rest = power[power <= 1e-3 * power.max()].sum()
        assert rest < 0.1 * power.sum() and loud.min() > 30


def test_it_stands_in_for_recordings(clip: np.ndarray, bank: NoiseBank) -> None:
    transform = AddNoise(probability=1.0)
    drawn = [transform.draw(stable_rng(item)) for item in range(400)]
    kinds = [params["kind"] for params in drawn]
    assert set(kinds) == {"made", "coloured"} and kinds.count("made") / 400 == pytest.approx(0.85, abs=0.06)
    assert len({params["recording"] for params in drawn if params["kind"] == "made"}) > 0.9 * NUM_NOISES
    params = next(params for params in drawn if params["kind"] == "made")
    added = transform.apply(clip, params) - clip
    start = int(params["position"] * NOISE_SAMPLES)
    expected = np.roll(made_noises(0)[params["recording"]], -start)[: clip.size]
    assert np.corrcoef(added[: expected.size], expected)[0, 1] > 0.999
    with_bank = AddNoise(probability=1.0, bank=bank)
    assert {with_bank.draw(stable_rng(item))["kind"] for item in range(100)} == {"recording", "coloured"}
