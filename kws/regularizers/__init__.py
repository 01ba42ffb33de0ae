"""Regularisers by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kws.errors import ConfigError
from kws.model import WakeWordModel
from kws.regularizers.base import Regularizer, Step
from kws.regularizers.l2_sp import L2SP
from kws.regularizers.phones import Phones

__all__ = [
    "Regularizer",
    "Step",
    "available_regularizers",
    "build_regularizer",
    "check_weights",
    "need_transcripts",
]

_REGULARIZERS: dict[str, type[Regularizer]] = {
    "l2_sp": L2SP,
    "phones": Phones,
}


def available_regularizers() -> list[str]:
    """Return the names that :func:`build_regularizer` knows."""
    return sorted(_REGULARIZERS)


def build_regularizer(name: str, model: WakeWordModel) -> Regularizer:
    """Return a regulariser for a model that is about to be trained.

    Raises:
        ConfigError: the name is unknown.
    """
    check_weights({name: 1.0})
    return _REGULARIZERS[name](model)


def check_weights(weights: Mapping[str, object], where: str = "train.regularizers") -> None:
    """Check a mapping of regularisers to weights.

    Raises:
        ConfigError: a name is unknown, or a weight is no number above 0.
    """
    for name, weight in weights.items():
        if name not in _REGULARIZERS:
            allowed = ", ".join(available_regularizers())
            raise ConfigError(f"{where}: unknown key {name!r}, allowed: {allowed}")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight > 0:
            raise ConfigError(
                f"{where}.{name}: got {weight!r}, allowed: a weight above 0; leave it out for none"
            )


def need_transcripts(names: Iterable[str], num_transcribed: int | None = None) -> bool:
    """Return whether one of the regularisers learns from transcribed speech.

    Args:
        names: of regularisers.
        num_transcribed: how many transcribed recordings there are to train on; None where not known yet.
    Raises:
        ConfigError: one does, and there are none.
    """
    needing = [name for name in names if _REGULARIZERS[name].needs_transcripts]
    if needing and num_transcribed == 0:
        raise ConfigError(
            f"train.regularizers.{needing[0]}: learns from transcribed speech, and no training negative has "
            "`phones` or `text`; give --negatives a manifest with either, or leave it out"
        )
    return bool(needing)
