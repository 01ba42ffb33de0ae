"""The contract of a transfer policy: which borrowed parts of a model move, how fast, and from when on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from kws.model import WakeWordModel
from kws.transfer.config import TransferConfig

Signals = Callable[[], list[float]]
"""Asks the data how much each borrowed part, stem first, has to change; see :mod:`kws.transfer.surgical`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a policy wants of the borrowed parts, stem first."""

    rates: tuple[float, ...]
    """Learning rate of each part, as a share of the head's; 0 is frozen."""
    opens: tuple[float, ...] = ()
    """Share of the training after which each part begins to move; empty: all from the start."""


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters of one part that share a learning rate."""

    name: str
    part: nn.Module
    """What they belong to; in eval mode until they begin to move."""
    parameters: tuple[nn.Parameter, ...]
    rate: float
    """Share of the configured learning rate."""
    opens: float = 0.0
    """Share of the training after which it begins to move."""


class Policy(ABC):
    """A way to transfer. Subclasses give :meth:`plan`; the others are for policies that change the model."""

    def prepare(self, model: WakeWordModel, config: TransferConfig) -> None:
        """Change the model before training, such as by adding adapters."""
        return  # most policies leave it as it is

    @abstractmethod
    def plan(self, num_parts: int, config: TransferConfig, signals: Signals) -> Plan:
        """Return rates for so many borrowed parts.

        Args:
            num_parts: stem and kept layers.
            config: numbers that the policy reads.
            signals: how much each part has to change by the data; costs some forward and backward passes.
        """

    def moving(self, part: nn.Module) -> Iterable[nn.Parameter]:
        """Return the parameters of a part with a rate above 0 that really move."""
        return part.parameters()

    def finish(self, model: WakeWordModel) -> None:
        """Undo, after training, what :meth:`prepare` did to the form of the model; its output stays."""
        return  # most policies leave it as it is


def borrowed(model: WakeWordModel) -> list[tuple[str, nn.Module]]:
    """Return the parts of the encoder with weights, from the waveform upwards."""
    return [
        ("stem", model.encoder.stem),
        *((f"layer {n}", layer) for n, layer in enumerate(model.encoder.layers, 1)),
    ]
