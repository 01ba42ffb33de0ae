"""Where the speech of a clip is: by the rule of training windows, and by that of a test."""

from __future__ import annotations

import numpy as np
import pytest

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.speech_span import EVALUATION, TRAINING, speech_span
from tests.support.onnx_models import silence as quiet
from tests.support.onnx_models import tone as beep
from tests.support.training import noise, tone


def span_s(waveform: np.ndarray) -> tuple[float, ...]:
    """Return the span by the rule of a test, in seconds."""
    return tuple(audio.samples_to_seconds(samples) for samples in speech_span(waveform, EVALUATION))


def clip_of(seed: int) -> np.ndarray:
    """Return a random clip: tones of any height, length and level in noise, or in none."""
    rng = np.random.default_rng(seed)
    clip = rng.choice([0.0, 0.0001, 0.01]) * rng.standard_normal(int(rng.integers(1, 40_000)))
    for _ in range(int(rng.integers(0, 4))):
        part = clip[int(rng.integers(0, len(clip))) :][: int(rng.integers(0, 16_000))]
        hertz = rng.uniform(30, 4_000)
        part += 10 ** rng.uniform(-3, -0.5) * np.sin(2 * np.pi * hertz / SAMPLE_RATE * np.arange(len(part)))
    return np.clip(clip, -1, 1).astype(np.float32)


@pytest.mark.parametrize("background", [0.0, 0.001, 0.01])
def test_the_span_of_a_training_window_is_the_tone_and_a_margin(background: float):
    waveform = noise(2.0, level=background)
    waveform[8000:16000] += tone(0.5)
    start, stop = speech_span(waveform, TRAINING)
    margin = audio.seconds_to_samples(TRAINING.margin_s)
    assert start == pytest.approx(8000 - margin, abs=320) and start <= 8000 - margin
    assert stop == pytest.approx(16000 + margin, abs=320) and stop >= 16000 + margin


def test_the_span_of_a_training_window_is_everything_where_nothing_stands_out():
    assert speech_span(noise(1.0), TRAINING) == (0, SAMPLE_RATE)
    assert speech_span(np.zeros(SAMPLE_RATE, np.float32), TRAINING) == (0, SAMPLE_RATE)
    assert speech_span(np.ones(700, np.float32), TRAINING) == (0, 700)
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[8000:8200] = 0.5
    assert speech_span(click, TRAINING) == (0, SAMPLE_RATE)


def test_speech_is_found_in_silence_noise_and_hum():
    word = np.concatenate([quiet(1.0), beep(400, 0.6, 0.3), quiet(0.8)])
    hum = beep(50, 2.4, 0.03)
    hiss = np.random.default_rng(0).normal(0, 0.01, len(word)).astype(np.float32)
    for background in (quiet(2.4), hiss, hum):
        assert span_s(word + background) == (
            pytest.approx(1.0, abs=0.03),
            pytest.approx(1.6, abs=0.03),
        )
    assert span_s(quiet(1.0)) == (0.0, 1.0)
    assert span_s(np.zeros(10, np.float32)) == (0.0, 10 / SAMPLE_RATE)


@pytest.mark.parametrize(
    ("seed", "training", "evaluation"),
    [
        (0, (4480, 23360), (6400, 21440)),
        (1, (5440, 20473), (7360, 19520)),
        (3, (0, 3426), (320, 3200)),
        (6, (2240, 21527), (4160, 21440)),
        (9, (7680, 34810), (9600, 34560)),
        (11, (0, 5143), (3200, 5120)),
    ],
)
def test_the_rules_are_frozen(seed: int, training: tuple[int, int], evaluation: tuple[int, int]):
    assert speech_span(clip_of(seed), TRAINING) == training
    assert speech_span(clip_of(seed), EVALUATION) == evaluation
