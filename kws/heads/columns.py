"""Head ``columns``: keywords added later, each beside what was learnt before, which stays as it is.

Made by :func:`add_column` for ``kws train --add-to``; nothing to choose with ``--head``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.errors import ConfigError
from kws.heads.base import Head, HeadOptions
from kws.heads.conv import CHANNELS, ConvHead
from kws.structs import StreamState

REDUCED = 32
"""Features that an adapter reduces those of the earlier columns to."""
SMALL = 0.1
"""Scale of the earlier columns' features at first."""


@dataclass(frozen=True, slots=True)
class ColumnsOptions(HeadOptions):
    """Options of head ``columns``."""

    sizes: tuple[int, ...]
    """Keywords of each column, in the order of training."""

    def check(self, num_keywords: int) -> None:
        """See :meth:`HeadOptions.check`."""
        if sum(self.sizes) != num_keywords or min(self.sizes) < 1:
            raise ConfigError(
                f"head_options.sizes: got {list(self.sizes)}, allowed: numbers above 0 that sum to the "
                f"{num_keywords} keywords"
            )


class Adapter(nn.Module):
    """What a layer takes from the layer below it in the earlier columns: ``U relu(V scale h)``.

    Args:
        in_features: of all earlier columns together.
        out_features: of the layer.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(SMALL))
        self.reduce = nn.Linear(in_features, REDUCED, bias=False)
        self.expand = nn.Linear(REDUCED, out_features, bias=False)

    def forward(self, hidden: Sequence[Tensor]) -> Tensor:
        """Map (batch, time, channel) of each earlier column to (batch, time, out_features)."""
        taken: Tensor = self.expand(torch.relu(self.reduce(self.scale * torch.cat(list(hidden), dim=-1))))
        return taken


class ColumnsHead(Head):
    """Columns of the form of head ``conv``; each also hears the hidden features of those before it.

    All but the last column are finished: they never move, and nothing flows into them from a later one, so
    their scores stay bit-identical.
    Source: progressive neural networks, Rusu et al., arXiv:1606.04671, equation 2 (with adapters).

    Args:
        dimension: features per frame.
        sizes: keywords of each column, in the order in which they were trained.
    Attributes:
        newest_only: True while the last column is trained: only its logits are given.
    """

    memory_frames = ConvHead.memory_frames

    def __init__(self, dimension: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.newest_only = False
        self.columns = nn.ModuleList(ConvHead(dimension, size) for size in sizes)
        self.adapters = nn.ModuleList(
            nn.ModuleList(Adapter(earlier * CHANNELS, width) for width in (CHANNELS, CHANNELS, size))
            for earlier, size in enumerate(sizes)
            if earlier
        )

    @property
    def finished(self) -> tuple[nn.Module, ...]:
        """See :attr:`Head.finished`: every column but the last, with its adapters."""
        return (*self.columns[:-1], *self.adapters[:-1])

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the columns, one column after the other."""
        return [state for column in self.columns for state in column.initial_state(batch)]  # type: ignore[operator]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        earlier: list[list[Tensor]] = []
        logits: list[Tensor] = []
        next_state: StreamState = []
        for number, column in enumerate(self.columns):
            assert isinstance(column, ConvHead)
            hidden = [column.enter(features)]
            for height, layer in enumerate(column.layers):
                mixed, after = layer(hidden[-1], state[len(next_state)])
                if number:
                    mixed = mixed + self._taken(number, height, earlier)
                hidden.append(torch.relu(mixed))
                next_state.append(after)
            told = column.leave(hidden[-1])
            logits.append(told + self._taken(number, -1, earlier) if number else told)
            earlier.append(hidden)
        return torch.cat(logits[-1:] if self.newest_only else logits, dim=-1), next_state

    def _taken(self, number: int, height: int, earlier: list[list[Tensor]]) -> Tensor:
        """Return what a layer of a column takes from the earlier ones."""
        adapters = self.adapters[number - 1]
        assert isinstance(adapters, nn.ModuleList)
        taken: Tensor = adapters[height]([hidden[height] for hidden in earlier])
        return taken


def add_column(head: Head, dimension: int, num_keywords: int) -> ColumnsHead:
    """Return a head with a new column beside a finished head, of which it holds a copy.

    Args:
        head: a trained head ``conv`` or ``columns``.
        dimension: features per frame.
        num_keywords: of the new column.
    Raises:
        ConfigError: the head is of another kind.
    """
    if isinstance(head, ConvHead):
        columns, adapters = [head], []
    elif isinstance(head, ColumnsHead):
        columns, adapters = list(head.columns), list(head.adapters)  # type: ignore[arg-type]
    else:
        raise ConfigError(
            f"head: got a {type(head).__name__}, allowed: conv, or columns (conv and a keyword added to it); "
            "train all keywords together, or the first with `model.head=conv`"
        )
    made = ColumnsHead(dimension, [*(column.output.out_features for column in columns), num_keywords])
    for new, old in (*zip(made.columns, columns, strict=False), *zip(made.adapters, adapters, strict=False)):
        new.load_state_dict(old.state_dict())
    return made
