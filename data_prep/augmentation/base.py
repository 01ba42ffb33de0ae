"""What every waveform transform is: a frozen dataclass that draws its parameters, then applies them.

``draw`` gives plain values that go into the manifest and ``apply`` uses nothing else, so a sample can be
replayed. A new transform is one file with ``@register``; ``chain.py`` puts them together.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from kws.config import load_config, to_dict
from kws.errors import ConfigError

Params = dict[str, Any]
"""Drawn parameters: JSON values only; an empty dictionary leaves the sample as it is."""


class Transform(ABC):
    """A waveform transform; subclasses are frozen dataclasses whose fields are its configuration."""

    name: ClassVar[str]
    """The key in configurations and manifests."""

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

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values, with the transform's name under ``name``."""
        return {"name": self.name, **to_dict(self)}


_TRANSFORMS: dict[str, type[Transform]] = {}
T = TypeVar("T", bound=type[Transform])


def register(transform: T) -> T:
    """Make a transform class available to :func:`from_dict` under its ``name``."""
    _TRANSFORMS[transform.name] = transform
    return transform


def available_transforms() -> list[str]:
    """Return the registered names, sorted."""
    return sorted(_TRANSFORMS)


def from_dict(values: Mapping[str, Any]) -> Transform:
    """Build a transform from what :meth:`Transform.to_dict` gave.

    Raises:
        ConfigError: the name is missing or unknown, or a field is unknown or out of range.
    """
    fields = dict(values)
    name = fields.pop("name", None)
    if name not in _TRANSFORMS:
        near = difflib.get_close_matches(str(name), _TRANSFORMS, n=1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise ConfigError(
            f"augmentation: unknown transform {name!r}; {hint}known: {', '.join(available_transforms())}"
        )
    return load_config(_TRANSFORMS[name], fields, where=f"augmentation.{name}")


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
