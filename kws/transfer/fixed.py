"""Policies that say once which parts move: the head alone, the first layers, the last, all, from scratch."""

from __future__ import annotations

from kws.transfer.base import Plan, Policy, Signals
from kws.transfer.config import TransferConfig


class HeadOnly(Policy):
    """The new layers alone; what is borrowed stays. Source: Yosinski et al., arXiv:1411.1792."""

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        return Plan((0.0,) * num_parts)


class Early(Policy):
    """The stem and the first layers too: for speech these adapt to voice and room, the later ones carry over.

    Source: Wang and Zheng, "Transfer Learning for Speech and Language Processing", arXiv:1511.06066.
    """

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        return Plan(
            tuple(config.encoder_rate if part <= config.num_layers else 0.0 for part in range(num_parts))
        )


class Late(Policy):
    """The last kept layers too, as for pictures. Source: Yosinski et al., arXiv:1411.1792."""

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        first = num_parts - config.num_layers
        return Plan(tuple(config.encoder_rate if part >= first else 0.0 for part in range(num_parts)))


class All(Policy):
    """Every part, at one rate."""

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        return Plan((config.encoder_rate,) * num_parts)


class Discriminative(Policy):
    """Every part, the lower the slower. Source: Howard and Ruder (ULMFiT), arXiv:1801.06146, section 3.2."""

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        return Plan(
            tuple(config.encoder_rate * config.decay ** (num_parts - 1 - part) for part in range(num_parts))
        )


class Scratch(Policy):
    """Every part at the full rate, from random weights: the control that shows what transfer gains."""

    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """See :meth:`Policy.plan`."""
        return Plan((1.0,) * num_parts)
