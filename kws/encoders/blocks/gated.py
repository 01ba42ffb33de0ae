"""Block ``gated``: the separable block whose inner layer is a gated linear unit."""

from __future__ import annotations

from torch import Tensor, nn

from kws.encoders.blocks.separable import SeparableBlock


class GatedBlock(SeparableBlock):
    """Separable block with two inner layers, of which one, after SiLU, is a factor of the other.

    A third matrix for the gate and two thirds of the width: as many weights and products as ungated.
    Source: gated linear units, Dauphin et al., arXiv:1612.08083; this form with two thirds of the width is
    SwiGLU, Shazeer, arXiv:2002.05202.

    Args:
        features: features per frame.
        kernel: see :class:`SeparableBlock`.
        expansion: width of an ungated inner layer of the same cost, as a multiple of ``features``.
        drop: see :class:`ResidualBlock`.
        lookahead: see :class:`ResidualBlock`.
    """

    def __init__(
        self, features: int, kernel: int, expansion: int, drop: float = 0.0, lookahead: int = 0
    ) -> None:
        super().__init__(features, kernel, expansion, drop, lookahead)
        self.gate = nn.Linear(features, self.inner_width(features, expansion))

    @staticmethod
    def inner_width(features: int, expansion: int) -> int:
        """See :meth:`SeparableBlock.inner_width`."""
        return max(1, 2 * expansion * features // 3)

    def inner(self, mixed: Tensor) -> Tensor:
        """See :meth:`SeparableBlock.inner`."""
        mapped: Tensor = self.project(nn.functional.silu(self.gate(mixed)) * self.expand(mixed))
        return mapped
