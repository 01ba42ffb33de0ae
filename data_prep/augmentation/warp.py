"""Vocal tracts of other lengths: log-mel stretched along the frequency axis, one factor per row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kws.errors import ConfigError

MEL_BREAK_HZ = 700.0
"""Of the HTK mel scale: mel is log(1 + hz / 700)."""


@dataclass(frozen=True, slots=True)
class WarpFrequency:
    """Read each row of log-mel at frequencies multiplied by a factor drawn for it.

    Source: vocal tract length perturbation, Jaitly and Hinton, ICML 2013 workshop.
    """

    largest: float = 0.15
    """The factor is drawn evenly from 1 - largest to 1 + largest."""
    low_hz: float = 60.0
    """Lower edge of the lowest band."""
    high_hz: float = 7600.0
    """Upper edge of the highest band."""

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.largest < 0.5:
            raise ConfigError(f"warp.largest: got {self.largest}, allowed: 0 up to but not including 0.5")

    def __call__(self, features: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Warp a batch.

        Args:
            features: (batch, time, mel) log-mel, HTK scale; not written to.
            lengths: (batch,) int64, not read: padding is warped like the rest.
            generator: a CPU generator; its state alone decides the factors.
        Returns:
            (batch, time, mel), linear between bands; above the highest band its value.
        """
        batch, _, num_mels = features.shape
        factors = 1 + self.largest * (2 * torch.rand(batch, 1, generator=generator) - 1)
        low, high = (torch.log1p(torch.tensor(hz / MEL_BREAK_HZ)) for hz in (self.low_hz, self.high_hz))
        step = (high - low) / (num_mels + 1)
        centers = MEL_BREAK_HZ * torch.expm1(low + step * torch.arange(1, num_mels + 1))  # hz
        bands = (torch.log1p(factors * centers / MEL_BREAK_HZ) - low) / step - 1  # (batch, mel)
        bands = bands.clamp(0, num_mels - 1).to(features.device)
        below = bands.floor().long().clamp(max=num_mels - 2)
        share = (bands - below)[:, None, :].to(features)
        first, second = (
            features.gather(2, index[:, None, :].expand_as(features)) for index in (below, below + 1)
        )
        return first + share * (second - first)
