"""SpecAugment: time and frequency masks on log-mel batches, drawn from a torch generator of the caller's.

torchaudio's masking functions draw from torch's global generator, so that they cannot be seeded by item.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_prep.augmentation.base import check_probability
from kws.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SpecAugment:
    """Replace stretches of time and bands of frequency by each row's mean.

    Source: SpecAugment, Park et al., arXiv:1904.08779; limit by share of the length, arXiv:1912.05533.
    """

    num_time_masks: int = 2
    """Stretches of time per row."""

    max_time_frames: int = 40
    """Longest stretch (frames); lengths are drawn evenly from 0."""

    max_time_share: float = 0.2
    """Longest stretch as a share of the row's valid frames, so that a short keyword is never hidden whole."""

    num_mel_masks: int = 2
    """Bands per row."""

    max_mel_bins: int = 15
    """Widest band (bins); widths are drawn evenly from 0."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for field in ("num_time_masks", "max_time_frames", "num_mel_masks", "max_mel_bins"):
            if getattr(self, field) < 0:
                raise ConfigError(
                    f"spec_augment.{field}: got {getattr(self, field)}, allowed 0 or more; 0 turns it off"
                )
        check_probability("spec_augment.max_time_share", self.max_time_share)

    def __call__(self, features: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Mask a batch; valid frames outside the masks and all padding stay bit-identical.

        Args:
            features: (batch, time, mel) log-mel; not written to.
            lengths: (batch,) int64, valid frames per row.
            generator: a CPU generator; its state alone decides the masks.
        Returns:
            (batch, time, mel), masked cells hold the mean over the row's valid frames.
        """
        batch, num_frames, num_bins = features.shape
        lengths = lengths.cpu()
        frames = torch.arange(num_frames)
        valid = frames < lengths[:, None]  # (batch, time)
        longest = torch.clamp((lengths * self.max_time_share).long(), max=self.max_time_frames)
        hidden_frames = _masks(self.num_time_masks, longest, lengths, num_frames, generator)  # (batch, time)
        widest = torch.full((batch,), min(self.max_mel_bins, num_bins))
        bins = torch.full((batch,), num_bins)
        hidden_bins = _masks(self.num_mel_masks, widest, bins, num_bins, generator)  # (batch, mel)
        hidden = hidden_frames[:, :, None] | hidden_bins[:, None, :]  # (batch, time, mel)
        hidden &= valid[:, :, None]
        valid = valid.to(features.device)[:, :, None]
        count = valid.sum(dim=(1, 2), keepdim=True).clamp(min=1) * num_bins
        mean = torch.where(valid, features, 0.0).sum(dim=(1, 2), keepdim=True) / count  # (batch, 1, 1)
        return torch.where(hidden.to(features.device), mean, features)


def _masks(count: int, largest: Tensor, limits: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` masks a row, 0 to ``largest`` cells wide, within ``limits``: (batch, size) bool."""
    draws = torch.rand((2, limits.numel(), count), generator=generator)
    widths = (draws[0] * (largest[:, None] + 1)).long()  # (batch, count)
    starts = (draws[1] * (limits[:, None] - widths + 1)).long()
    cells = torch.arange(size)
    inside = (cells >= starts[:, :, None]) & (cells < (starts + widths)[:, :, None])  # (batch, count, size)
    return inside.any(dim=1)
