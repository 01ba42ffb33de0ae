"""Frequency warping: bands move as a vocal tract of another length would move them."""

from __future__ import annotations

import pytest
import torch
from torchaudio.functional import melscale_fbanks

from data_prep.augmentation.warp import WarpFrequency
from kws.errors import ConfigError

NUM_MELS = 64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mel_of(hz: float) -> torch.Tensor:
    """Return the (mel,) log-mel of a narrow peak at a frequency, from torchaudio's own filters."""
    banks = melscale_fbanks(4001, 60.0, 7600.0, NUM_MELS, 16_000)
    power = torch.exp(-0.5 * ((torch.linspace(0, 8000, 4001) - hz) / 150) ** 2)
    return torch.log(power @ banks + 1e-4)


def test_without_a_range_nothing_changes():
    features = torch.randn(3, 20, NUM_MELS, generator=generator())
    warped = WarpFrequency(0.0)(features, torch.tensor([20, 20, 20]), generator())
    torch.testing.assert_close(warped, features, atol=1e-4, rtol=0)


def test_a_peak_moves_by_the_factor_that_was_drawn():
    hz, seed = 2000.0, 1
    factor = float(1 + 0.2 * (2 * torch.rand(1, 1, generator=generator(seed)) - 1))
    assert abs(factor - 1) > 0.05
    warped = WarpFrequency(0.2)(mel_of(hz)[None, None], torch.tensor([1]), generator(seed))[0, 0]
    assert abs(int(warped.argmax()) - int(mel_of(hz / factor).argmax())) <= 1
    assert abs(int(warped.argmax()) - int(mel_of(hz).argmax())) > 1


def test_each_row_gets_its_own_factor_and_the_generator_decides():
    features = mel_of(1500.0).expand(4, 3, NUM_MELS)
    first, again, other = (
        WarpFrequency(0.15)(features, torch.full((4,), 3), generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len({tuple(row[0].tolist()) for row in first}) == 4
    assert torch.equal(first[:, 0], first[:, 2])  # one factor for all frames
    assert first.isfinite().all()


@pytest.mark.parametrize("largest", [-0.1, 0.5])
def test_a_range_that_is_too_wide_is_refused(largest: float):
    with pytest.raises(ConfigError, match=r"warp.largest: got .*, allowed: 0 up to but not including 0.5"):
        WarpFrequency(largest)
