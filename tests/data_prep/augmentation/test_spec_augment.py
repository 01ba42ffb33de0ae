"""SpecAugment masks what it says, in valid frames only, from its own generator."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from data_prep.augmentation.spec_augment import SpecAugment  # noqa: E402
from kws.errors import ConfigError  # noqa: E402

LENGTHS = torch.tensor([100, 60, 7, 0])


def masked(transform: SpecAugment, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch and its masked form."""
    features = torch.randn((4, 100, 40), generator=torch.Generator().manual_seed(9))
    return features, transform(features, LENGTHS, torch.Generator().manual_seed(seed))


def test_one_time_mask_is_one_stretch_within_its_limits() -> None:
    transform = SpecAugment(num_time_masks=1, max_time_frames=15, max_time_share=0.2, num_mel_masks=0)
    widest = torch.zeros(4, dtype=torch.int64)
    for seed in range(60):
        features, result = masked(transform, seed)
        changed = (result != features).any(dim=2)  # (batch, time)
        assert torch.equal(changed, (result != features).all(dim=2))
        for row, length in enumerate(LENGTHS.tolist()):
            frames = changed[row].nonzero().flatten()
            assert not changed[row, length:].any()
            if frames.numel():
                assert frames[-1] - frames[0] + 1 == frames.numel()
            widest[row] = max(int(widest[row]), frames.numel())
    assert widest.tolist() == [15, 12, 1, 0]


def test_mel_masks_hide_whole_bands_of_valid_frames() -> None:
    features, result = masked(SpecAugment(num_time_masks=0, num_mel_masks=1, max_mel_bins=40), seed=4)
    changed = result != features
    for row, length in enumerate([100, 60, 7]):
        bins = changed[row, 0].nonzero().flatten()
        assert 0 < bins.numel() <= 40
        assert changed[row, :length][:, bins].all()
        assert changed[row].sum() == length * bins.numel()


def test_masked_cells_hold_the_mean_of_valid_frames() -> None:
    features, result = masked(SpecAugment(), seed=1)
    hidden = result[1][result[1] != features[1]]
    torch.testing.assert_close(hidden, features[1, :60].mean().expand_as(hidden))


def test_seed_decides_and_global_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    features, first = masked(SpecAugment(), seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(masked(SpecAugment(), seed=1)[1], first)
    assert not torch.equal(masked(SpecAugment(), seed=2)[1], first)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="spec_augment.max_mel_bins: got -1"):
        SpecAugment(max_mel_bins=-1)
    with pytest.raises(ConfigError, match="spec_augment.max_time_share: got 1.5"):
        SpecAugment(max_time_share=1.5)
