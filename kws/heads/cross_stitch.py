"""Head ``cross_stitch``: a tower for each keyword, which learn how much they take from each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.heads.base import Head
from kws.heads.conv import CHANNELS, ConvHead
from kws.structs import StreamState


class CrossStitch(nn.Module):
    """A linear combination of what the towers give, one for each channel; at first each keeps its own.

    Args:
        channels: of a tower.
        num_towers: how many.
    """

    def __init__(self, channels: int, num_towers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(num_towers).repeat(channels, 1, 1))  # (channel, to, from)

    def forward(self, hidden: list[Tensor]) -> list[Tensor]:
        """Map (batch, time, channel) of each tower to the same."""
        given = torch.stack(hidden, dim=-1)[..., None, :]  # (batch, time, channel, 1, from)
        return list((given * self.weight).sum(dim=-1).unbind(dim=-1))


class CrossStitchHead(Head):
    """The layers of head ``conv`` once for each keyword, joined by a cross-stitch unit after each of them.

    At first the towers know nothing of each other; of one keyword it is head ``conv``.
    Source: cross-stitch networks, Misra et al., arXiv:1604.03539.

    Args:
        dimension: features per frame.
        num_keywords: towers, one output each.
    """

    memory_frames = ConvHead.memory_frames

    def __init__(self, dimension: int, num_keywords: int) -> None:
        super().__init__()
        self.towers = nn.ModuleList(ConvHead(dimension, 1) for _ in range(num_keywords))
        num_units = 3 if num_keywords > 1 else 0
        self.units = nn.ModuleList(CrossStitch(CHANNELS, num_keywords) for _ in range(num_units))

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the towers, one tower after the other."""
        return [state for tower in self.towers for state in tower.initial_state(batch)]  # type: ignore[operator]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        towers: list[ConvHead] = list(self.towers)  # type: ignore[arg-type]
        next_state = list(state)
        hidden = self._joined(0, [tower.enter(features) for tower in towers])
        for number in range(2):
            for index, tower in enumerate(towers):
                place = 2 * index + number
                mixed, next_state[place] = tower.layers[number](hidden[index], state[place])
                hidden[index] = torch.relu(mixed)
            hidden = self._joined(number + 1, hidden)
        logits = [tower.leave(own) for tower, own in zip(towers, hidden, strict=True)]
        return torch.cat(logits, dim=-1), next_state

    def _joined(self, number: int, hidden: list[Tensor]) -> list[Tensor]:
        """Apply a cross-stitch unit, where there are several towers."""
        return self.units[number](hidden) if len(self.units) else hidden
