"""What every waveform transform is: a frozen dataclass that draws its parameters, then applies them.

``apply`` uses nothing but the plain values that ``draw`` gives. A new transform is one file; ``chain.py``
puts them together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from kws.errors import ConfigError

Params = dict[str, Any]
"""Drawn parameters: plain values; an empty dictionary leaves the sample as it is."""


class Transform(ABC):
    """A waveform transform; subclasses are frozen dataclasses whose fields are its configuration."""

    name: ClassVar[str]
    """The name in messages."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the parameters of one sample; empty when the transform is not to be applied."""

    @abstractmethod
    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Apply drawn parameters.

        Args:
            waveform: (samples,) float32 in [-1, 1] at ``SAMPLE_RATE``; never written to.
            params: from :meth:`draw`; empty returns ``waveform`` itself.
        Returns:
            (samples,) float32.
        """

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw and apply."""
        return self.apply(waveform, self.draw(rng))


def check_probability(where: str, value: float) -> None:
    """Raise ConfigError unless ``value`` is in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ConfigError(
            f"{where}: got {value}, allowed 0 to 1; it is the share of samples that are changed"
        )


def check_range(where: str, value: tuple[float, ...], low: float, high: float) -> None:
    """Raise ConfigError unless ``value`` is (smallest, largest) with low <= smallest <= largest <= high."""
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        raise ConfigError(
            f"{where}: got {list(value)}, allowed [smallest, largest] within {low} to {high}; change it"
        )


def chosen(rng: np.random.Generator, probability: float) -> bool:
    """Draw whether a sample is changed."""
    return bool(rng.random() < probability)


def uniform(rng: np.random.Generator, bounds: tuple[float, ...]) -> float:
    """Draw a Python float between the two bounds."""
    return float(rng.uniform(bounds[0], bounds[1]))
