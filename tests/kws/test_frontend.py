"""The log-mel front end against torchaudio's and librosa's, and as a stream."""

from __future__ import annotations

import math

import librosa
import pytest
import torch
from torchaudio.transforms import MelSpectrogram

from kws.frontend import (
    FFT_SIZE,
    HIGH_HZ,
    HISTORY_SAMPLES,
    HOP_SAMPLES,
    LOW_HZ,
    POWER_FLOOR,
    WINDOW_SAMPLES,
    LogMel,
)
from tests.support.encoders import voice
from tests.tolerances import CPU_REFACTOR, STREAMING


@pytest.mark.parametrize("num_mels", [16, 64])
def test_values_are_those_of_an_independent_implementation(num_mels: int):
    reference = MelSpectrogram(
        16_000, FFT_SIZE, WINDOW_SAMPLES, HOP_SAMPLES, LOW_HZ, HIGH_HZ, n_mels=num_mels, center=False
    )
    waveform = voice(16_000)[None]
    around = (FFT_SIZE - WINDOW_SAMPLES) // 2  # torchaudio puts the window in the middle of the transform
    padded = torch.nn.functional.pad(waveform, (HISTORY_SAMPLES + around, around))
    expected = torch.log(reference(padded).transpose(1, 2) + POWER_FLOOR)
    features, _ = LogMel(num_mels)(waveform)
    assert features.shape == (1, 100, num_mels) == expected.shape
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=2e-3)


def test_the_mel_bands_are_those_of_librosa():
    banks = librosa.filters.mel(
        sr=16_000, n_fft=FFT_SIZE, n_mels=64, fmin=LOW_HZ, fmax=HIGH_HZ, htk=True, norm=None
    )
    first = math.ceil(LOW_HZ * FFT_SIZE / 16_000)
    kept = LogMel(64).mel.T
    torch.testing.assert_close(
        kept, torch.from_numpy(banks)[:, first : first + kept.shape[1]], rtol=0, atol=1e-4
    )


def test_digital_silence_is_finite_and_the_floor():
    features, _ = LogMel(8)(torch.zeros(1, 1600))
    torch.testing.assert_close(features, torch.full((1, 10, 8), math.log(POWER_FLOOR)))


def test_a_frame_hears_nothing_after_its_end():
    frontend, waveform = LogMel(), voice(3200)[None]
    changed = waveform.clone()
    changed[:, 1600:] = 0.5
    before, after = frontend(waveform)[0], frontend(changed)[0]
    torch.testing.assert_close(before[:, :10], after[:, :10], rtol=0, atol=CPU_REFACTOR)
    assert not torch.allclose(before[:, 10], after[:, 10], atol=0.1)


@pytest.mark.parametrize("hops", [(1,) * 20, (7, 1, 12), (2, 18)])
def test_a_stream_gives_what_the_whole_gives(hops: tuple[int, ...]):
    frontend, waveform = LogMel(), voice(3200)[None].repeat(2, 1)
    state, pieces = frontend.initial_state(2), []
    for piece in waveform.split([160 * count for count in hops], dim=1):
        features, state = frontend(piece, state)
        pieces.append(features)
    torch.testing.assert_close(torch.cat(pieces, dim=1), frontend(waveform)[0], rtol=0, atol=STREAMING)
    torch.testing.assert_close(state, waveform[:, -HISTORY_SAMPLES:])


def test_bands_are_normalized_by_the_stored_mean_and_scale():
    plain, scaled = LogMel(8), LogMel(8)
    scaled.mean.copy_(torch.arange(8.0))
    scaled.scale.fill_(0.5)
    waveform = voice(1600)[None]
    torch.testing.assert_close(scaled(waveform)[0], (plain(waveform)[0] - torch.arange(8.0)) * 0.5)
    assert set(scaled.state_dict()) == {"mean", "scale"}  # the transform itself is no weight
