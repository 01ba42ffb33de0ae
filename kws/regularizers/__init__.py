"""Regularisers by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.registry import load_recognizer
from kws.errors import ConfigError
from kws.model import WakeWordModel
from kws.regularizers.base import Regularizer, Resources, Step
from kws.regularizers.dann import DANN
from kws.regularizers.distillation import Distillation
from kws.regularizers.ewc import EWC
from kws.regularizers.feature_matching import FeatureMatching
from kws.regularizers.l2_sp import L2SP
from kws.regularizers.mmd import MMD
from kws.regularizers.phones import Phones

__all__ = [
    "Regularizer",
    "Resources",
    "Step",
    "available_regularizers",
    "build_regularizer",
    "check_weights",
    "from_scratch",
    "load_phones",
    "need_domains",
    "need_source_alone",
    "need_transcripts",
]

_REGULARIZERS: dict[str, type[Regularizer]] = {
    "dann": DANN,
    "distillation": Distillation,
    "ewc": EWC,
    "feature_matching": FeatureMatching,
    "l2_sp": L2SP,
    "mmd": MMD,
    "phones": Phones,
}


def available_regularizers() -> list[str]:
    """Return the names that :func:`build_regularizer` knows."""
    return sorted(_REGULARIZERS)


def build_regularizer(name: str, model: WakeWordModel, resources: Resources | None = None) -> Regularizer:
    """Return a regulariser for a model that is about to be trained.

    Args:
        name: one of :func:`available_regularizers`.
        model: its borrowed layers still are those of the source, and its policy is applied.
        resources: what the regulariser may take beside it.
    Raises:
        ConfigError: the name is unknown, or a resource that it needs is lacking.
    """
    check_weights({name: 1.0})
    with torch.random.fork_rng(devices=[]):  # what is drawn for a term changes nothing else of the run
        term = _REGULARIZERS[name](model)
    resources = resources or Resources()
    if term.needs_phones:
        _check_phones(name, model, resources.recognizer)
    term.prepare(model, resources)
    return term


def _check_phones(name: str, model: WakeWordModel, recognizer: PhoneRecognizer | None) -> None:
    instead = "or take `feature_matching`, which needs none"
    if recognizer is None:
        raise ConfigError(
            f"train.regularizers.{name}: needs the source's phone outputs, got none; give `recogniser`, "
            f"{instead}"
        )
    ours, theirs = model.encoder.info, recognizer.encoder.info
    if (ours.dimension, ours.hop_samples) != (theirs.dimension, theirs.hop_samples):
        raise ConfigError(
            f"train.regularizers.{name}: the model gives {ours.dimension} features every {ours.hop_samples} "
            f"samples, the recogniser {theirs.dimension} every {theirs.hop_samples}; give the recogniser "
            f"that the model's layers were taken from, {instead}"
        )


def load_phones(weights: Mapping[str, float], encoder: str, path: Path | None) -> PhoneRecognizer | None:
    """Load the source with its phone outputs where a regulariser needs them, else return None.

    Args:
        weights: of regularisers by name.
        encoder: name in the encoder registry.
        path: local weights of the encoder, or None for its usual source.
    Raises:
        ConfigError: the encoder is unknown or has no phone outputs.
        CheckpointError: its weights cannot be read.
    """
    needing = [name for name in weights if _REGULARIZERS[name].needs_phones]
    if not needing:
        return None
    try:
        return load_recognizer(encoder, path)
    except ConfigError as error:
        raise ConfigError(
            f"train.regularizers.{needing[0]}: {error}; or take `feature_matching`, which needs none"
        ) from error


def from_scratch(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the regularisers that mean something to layers which start at random."""
    return {name: weight for name, weight in weights.items() if not _REGULARIZERS[name].near_source}


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
            "`phones` or `text`; give `negatives` a manifest with either, or leave it out"
        )
    return bool(needing)


def need_source_alone(names: Iterable[str]) -> bool:
    """Return whether the regularisers need nothing beside the layers that were borrowed."""
    terms = [_REGULARIZERS[name] for name in names]
    return not any(term.needs_phones or term.needs_transcripts or term.needs_domains for term in terms)


def need_domains(names: Iterable[str], has_two: bool | None = None) -> bool:
    """Return whether one of the regularisers compares two domains.

    Args:
        names: of regularisers.
        has_two: whether there is audio of two domains; None where not known yet.
    Raises:
        ConfigError: one does, and there is audio of one domain alone.
    """
    needing = [name for name in names if _REGULARIZERS[name].needs_domains]
    if needing and has_two is False:
        raise ConfigError(
            f"train.regularizers.{needing[0]}: compares synthetic voices with real ones, and there are no "
            "synthetic ones; add `num_synthetic=200`, or give recordings of another place as `target_audio`"
        )
    return bool(needing)
