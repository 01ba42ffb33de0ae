"""Keyword heads by name: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable

from kws.errors import ConfigError
from kws.heads.attention import AttentionHead
from kws.heads.base import Head
from kws.heads.conv import ConvHead
from kws.heads.gru import GruHead
from kws.heads.linear import LinearHead

__all__ = ["Head", "available_heads", "build_head"]

_HEADS: dict[str, Callable[[int, int], Head]] = {
    "attention": AttentionHead,
    "conv": ConvHead,
    "gru": GruHead,
    "linear": LinearHead,
}


def available_heads() -> list[str]:
    """Return the names that :func:`build_head` knows."""
    return sorted(_HEADS)


def build_head(name: str, dimension: int, num_keywords: int) -> Head:
    """Return a freshly initialised head.

    Args:
        name: one of :func:`available_heads`.
        dimension: features per encoder frame.
        num_keywords: outputs per frame.
    Raises:
        ConfigError: the name is unknown.
    """
    if name not in _HEADS:
        raise ConfigError(f"head: got {name!r}, allowed: {', '.join(available_heads())}")
    return _HEADS[name](dimension, num_keywords)
