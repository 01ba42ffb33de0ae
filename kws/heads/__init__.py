"""Keyword heads by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import nn

from kws.errors import ConfigError
from kws.heads.attention import AttentionHead
from kws.heads.base import Head
from kws.heads.columns import ColumnsHead, add_column
from kws.heads.conv import ConvHead
from kws.heads.cross_stitch import CrossStitchHead
from kws.heads.ensemble import EnsembleHead
from kws.heads.gru import GruHead
from kws.heads.linear import LinearHead
from kws.heads.phrase import PhraseHead
from kws.heads.phrase_window import PhraseWindowHead
from kws.heads.window import WindowHead
from kws.heads.words import SPACES, WordSpaceHead

__all__ = [
    "COLUMNS",
    "PHRASE",
    "PHRASE_WINDOW",
    "TYPED",
    "EnsembleHead",
    "ColumnsHead",
    "Head",
    "PhraseHead",
    "PhraseWindowHead",
    "WindowHead",
    "WordSpaceHead",
    "add_column",
    "available_heads",
    "build_head",
]

PHRASE = "phrase"
"""Name of the head that searches for typed phrases in the recogniser's phones."""
PHRASE_WINDOW = "phrase_window"
"""Name of the head that adds to those phones a layer fitted to examples."""
TYPED = (PHRASE, PHRASE_WINDOW, *SPACES)
"""Heads made from typed phrases: nothing to train, so not among those to choose from."""
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


def available_heads() -> list[str]:
    """Return the names that :func:`build_head` knows."""
    return sorted(_HEADS)


def build_head(
    name: str,
    dimension: int,
    num_keywords: int,
    pronunciations: Sequence[Sequence[str]] = (),
    readings: Sequence[Sequence[int]] = (),
    columns: Sequence[int] = (),
    blocks: Iterable[nn.Module] = (),
) -> Head:
    """Return a freshly initialised head.

    Args:
        name: one of :func:`available_heads`, of :data:`TYPED`, or :data:`COLUMNS`.
        dimension: features per encoder frame.
        num_keywords: outputs per frame.
        pronunciations: of each keyword, for the heads of :data:`TYPED`; with any other head the typed
            phrases are put beside it.
        readings: phones in each recorded way of each keyword, for ``phrase``.
        columns: keywords of each column, for ``columns``.
        blocks: encoder layers that belong to the head, for ``phrase_window`` and for a head beside it.
    Raises:
        ConfigError: the name is unknown.
    """
    if name == PHRASE:
        return PhraseHead(dimension, pronunciations, readings)
    if name == PHRASE_WINDOW:
        return PhraseWindowHead(dimension, pronunciations, blocks)
    if name in SPACES:
        return WordSpaceHead(dimension, name, pronunciations)
    if name not in (COLUMNS, *_HEADS):
        raise ConfigError(f"head: got {name!r}, allowed: {', '.join(available_heads())}")
    head = ColumnsHead(dimension, columns) if name == COLUMNS else _HEADS[name](dimension, num_keywords)
    return EnsembleHead(dimension, pronunciations, blocks, head) if pronunciations else head
