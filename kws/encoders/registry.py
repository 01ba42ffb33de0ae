"""Encoders by name: the embedded one, and every source file's own (one line each)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kws.encoders.base import Encoder
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources import embedded_weights, emformer, torchaudio_bundle, whisper_weights
from kws.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """Where an encoder comes from."""

    load: Callable[[Path | None, bool], Encoder]
    """(local weights or None, pretrained) to a whole encoder."""
    build: Callable[[Mapping[str, Any]], Encoder]
    """``Encoder.shape()`` to the same architecture with random weights, without reading any weights."""
    recognizer: Callable[[Path | None], PhoneRecognizer] | None = None
    """Local weights or None to the whole encoder with its phone outputs, where it has them."""


_SOURCES: dict[str, EncoderSource] = {
    "embedded": EncoderSource(
        embedded_weights.load, embedded_weights.build, embedded_weights.load_recognizer
    ),
    emformer.NAME: EncoderSource(emformer.load, emformer.build),
    **{
        name: EncoderSource(partial(torchaudio_bundle.load, name), partial(torchaudio_bundle.build, name))
        for name in torchaudio_bundle.BUNDLES
    },
    **{
        name: EncoderSource(partial(whisper_weights.load, name), partial(whisper_weights.build, name))
        for name in whisper_weights.MODELS
    },
}


def available_encoders() -> list[str]:
    """Return the names that :func:`load_encoder` knows."""
    return sorted(_SOURCES)


def load_encoder(name: str = "embedded", weights: Path | None = None, *, pretrained: bool = True) -> Encoder:
    """Return a whole encoder.

    Args:
        name: one of :func:`available_encoders`.
        weights: a local file or folder of weights instead of the usual source.
        pretrained: False gives the same architecture with random weights, as policy ``scratch`` and a
            checkpoint need it.
    Raises:
        ConfigError: the name is unknown; the nearest known ones are named.
        CheckpointError: the weights are missing, damaged or of another shape.
    """
    return _source(name).load(weights, pretrained)


def build_encoder(name: str, shape: Mapping[str, Any]) -> Encoder:
    """Return a whole encoder of a stored shape with random weights; a checkpoint fills them.

    Args:
        name: one of :func:`available_encoders`.
        shape: what ``Encoder.shape()`` gave.
    Raises:
        ConfigError: the name or a key of the shape is unknown.
    """
    return _source(name).build(shape)


def load_recognizer(name: str = "embedded", weights: Path | None = None) -> PhoneRecognizer:
    """Return a whole encoder with the phone outputs that it was pretrained with.

    Args:
        name: one of :func:`available_encoders`.
        weights: as for :func:`load_encoder`.
    Raises:
        ConfigError: the name is unknown, or the encoder has no phone outputs.
        CheckpointError: the weights are missing, damaged or of another shape.
    """
    load = _source(name).recognizer
    if load is None:
        have = ", ".join(sorted(known for known, source in _SOURCES.items() if source.recognizer))
        raise ConfigError(f"encoder {name!r} has no phone outputs; encoders that have them: {have}")
    return load(weights)


def _source(name: str) -> EncoderSource:
    if name not in _SOURCES:
        near = difflib.get_close_matches(name, _SOURCES, n=3) or available_encoders()
        raise ConfigError(
            f"encoder: got {name!r}, nearest known: {', '.join(near)}; `available_encoders()` lists all"
        )
    return _SOURCES[name]
