"""Surgical fine-tuning: the data say which parts move."""

from __future__ import annotations

from kws.transfer.base import Plan, Policy, Signals
from kws.transfer.config import TransferConfig


class Surgical(Policy):
    """The parts whose gradient is largest beside their weights, ``num_layers`` of them; the stem is one.

    They are chosen once, before training, with a head that knows nothing yet. Source: Lee et al.,
    arXiv:2210.11466: moving one block is section 2, the relative gradient norm section 4, where it scales the
    rate of every layer instead.
    """

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        found = signals()
        chosen = sorted(range(num_parts), key=lambda part: -found[part])[: config.num_layers]
        return Plan(tuple(config.encoder_rate if part in chosen else 0.0 for part in range(num_parts)))
