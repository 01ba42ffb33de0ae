"""Keyword heads by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from kws.config import load_config
from kws.errors import ConfigError
from kws.heads.attention import AttentionHead
from kws.heads.base import Head, HeadOptions
from kws.heads.columns import ColumnsHead, ColumnsOptions, add_column
from kws.heads.conv import ConvHead
from kws.heads.cross_stitch import CrossStitchHead
from kws.heads.ensemble import EnsembleHead, EnsembleOptions
from kws.heads.gru import GruHead
from kws.heads.linear import LinearHead
from kws.heads.phrase import PhraseHead, PhraseOptions, TypedOptions
from kws.heads.phrase_window import PhraseWindowHead, PhraseWindowOptions
from kws.heads.window import WindowHead
from kws.heads.words import SPACES, WordSpaceHead

__all__ = [
    "COLUMNS",
    "ENSEMBLE",
    "OPTIONS",
    "PHRASE",
    "PHRASE_WINDOW",
    "EnsembleHead",
    "EnsembleOptions",
    "ColumnsHead",
    "Head",
    "HeadOptions",
    "PhraseHead",
    "PhraseOptions",
    "PhraseWindowHead",
    "PhraseWindowOptions",
    "TypedOptions",
    "WindowHead",
    "WordSpaceHead",
    "add_column",
    "available_heads",
    "build_head",
    "head_options",
]

PHRASE = "phrase"
"""Name of the head that searches for typed phrases in the recogniser's phones."""
PHRASE_WINDOW = "phrase_window"
"""Name of the head that adds to those phones a layer fitted to examples."""
ENSEMBLE = "ensemble"
"""Name of the head that has a trained one beside typed phrases."""
COLUMNS = "columns"
"""Name of the head with a column for each time that keywords were added."""

_HEADS: dict[str, Callable[[int, int], Head]] = {
    "attention": AttentionHead,
    "conv": ConvHead,
    "cross_stitch": CrossStitchHead,
    "gru": GruHead,
    "linear": LinearHead,
    "window": WindowHead,
}


OPTIONS: dict[str, type[HeadOptions]] = {
    PHRASE: PhraseOptions,
    PHRASE_WINDOW: PhraseWindowOptions,
    ENSEMBLE: EnsembleOptions,
    COLUMNS: ColumnsOptions,
    **dict.fromkeys(SPACES, TypedOptions),
}
"""Heads that have options: made of typed phrases or of finished runs, so not among those to choose from."""


def available_heads() -> list[str]:
    """Return the names that :func:`build_head` knows."""
    return sorted(_HEADS)


def head_options(name: str, values: Mapping[str, Any]) -> HeadOptions:
    """Return the options of a head, read strictly.

    Raises:
        ConfigError: an unknown key, a wrong type or a missing one.
    """
    return load_config(OPTIONS.get(name, HeadOptions), values, "head_options")


def build_head(
    name: str,
    dimension: int,
    num_keywords: int,
    options: HeadOptions | None = None,
    blocks: Iterable[nn.Module] = (),
) -> Head:
    """Return a freshly initialised head.

    Args:
        name: one of :func:`available_heads` or of :data:`OPTIONS`.
        dimension: features per encoder frame.
        num_keywords: outputs per frame.
        options: of the head; None is none.
        blocks: encoder layers that belong to the head, as many as the options say.
    Raises:
        ConfigError: the name is unknown, or its options do not fit.
    """
    if name in _HEADS:
        return _HEADS[name](dimension, num_keywords)
    match options:
        case EnsembleOptions():
            of_trained = head_options(options.trained, options.trained_options)
            trained = build_head(options.trained, dimension, num_keywords, of_trained)
            return EnsembleHead(dimension, options.pronunciations, blocks, trained)
        case PhraseWindowOptions():
            return PhraseWindowHead(dimension, options.pronunciations, blocks)
        case PhraseOptions():
            return PhraseHead(dimension, options.pronunciations, options.readings)
        case TypedOptions() if name in SPACES:
            return WordSpaceHead(dimension, name, options.pronunciations)
        case ColumnsOptions():
            return ColumnsHead(dimension, options.sizes)
    raise ConfigError(f"head: got {name!r}, allowed: {', '.join(available_heads())}")
