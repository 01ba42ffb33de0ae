"""Low-rank adapters (LoRA): small matrices learn beside the borrowed ones and are merged into them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from torch import Tensor, nn
from torch.nn.utils import parametrize

from kws.errors import ConfigError
from kws.model import WakeWordModel
from kws.transfer.base import Plan, Policy, Signals
from kws.transfer.config import TransferConfig


class LowRank(nn.Module):
    """A weight W (out, in) as ``W + alpha / rank * B A``, in the place of W; B = 0 makes it W at first.

    Args:
        weight: W.
        rank: rows of A (rank, in) and columns of B (out, rank); at most what W allows.
        alpha: see above; divided by ``rank`` as asked for, so that the rate fits every rank.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale, rank = alpha / rank, min(rank, *weight.shape)
        self.a = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        self.b = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, math.sqrt(5))  # as the source's code does, and torch for a new layer

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in) to the same shape."""
        return weight + self.scale * (self.b @ self.a)


class Adapters(Policy):
    """The borrowed weights stay; each matrix of the layers gets an adapter, which moves at its own rate.

    They are parametrisations of torch, so whatever reads a weight gets the adapted one, also attention that
    reads it past its module; there query, key and value are one matrix. The stem has none.
    Source: Hu et al., arXiv:2106.09685.
    """

    def __init__(self) -> None:
        self.adapted: list[tuple[nn.Module, str]] = []

    def prepare(self, model: WakeWordModel, config: TransferConfig) -> None:
        """Add the adapters.

        Raises:
            ConfigError: the layers of the encoder hold no matrix.
        """
        self.adapted = [found for layer in model.encoder.layers for found in _matrices(layer)]
        if not self.adapted:
            raise ConfigError(
                f"train.transfer.policy: got 'adapters', but no layer of encoder {model.encoder.info.name!r} "
                "holds a linear layer; take another policy, such as `late`"
            )
        for module, name in self.adapted:
            low_rank = LowRank(getattr(module, name), config.adapter_rank, config.adapter_alpha)
            parametrize.register_parametrization(module, name, low_rank)

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        return Plan((0.0, *(config.adapter_rate,) * (num_parts - 1)))

    def moving(self, part: nn.Module) -> Iterable[nn.Parameter]:
        """See :meth:`Policy.moving`."""
        return (p for module in part.modules() if isinstance(module, LowRank) for p in module.parameters())

    def finish(self, model: WakeWordModel) -> None:
        """Merge every adapter into its weight: names and shapes are those of before."""
        for module, name in self.adapted:
            parametrize.remove_parametrizations(module, name)


def _matrices(layer: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            yield module, "weight"
        elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            yield module, "in_proj_weight"
