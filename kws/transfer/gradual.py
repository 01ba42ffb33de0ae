"""Gradual unfreezing: the head first, then one further part at a time."""

from __future__ import annotations

from kws.transfer.base import Plan, Policy, Signals
from kws.transfer.config import TransferConfig


class Gradual(Policy):
    """Every part in the end, each from its own time on: from the top ``down`` or from the bottom ``up``.

    Of n parts, the i-th to move begins after ``thaw * i / n`` of the training; until the first does, the head
    alone is trained. Source: Howard and Ruder (ULMFiT), arXiv:1801.06146, section 3.3, from the top down; the
    other way round is the order of speech, Wang and Zheng, arXiv:1511.06066.
    """

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        opens = tuple(config.thaw * turn / num_parts for turn in range(1, num_parts + 1))
        return Plan((config.encoder_rate,) * num_parts, opens if config.direction == "up" else opens[::-1])
