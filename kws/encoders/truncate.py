"""Cut a pretrained encoder at a chosen depth: keep the first layers, drop the rest (DESIGN §6)."""

from __future__ import annotations

import copy
import logging
from typing import TypeVar

from kws.encoders.base import Encoder
from kws.errors import ConfigError

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Encoder)


def truncate(encoder: E, depth: int) -> E:
    """Return a copy of ``encoder`` with its first ``depth`` layers; kept weights are bit-identical.

    Args:
        encoder: any encoder of the registry; it is not changed.
        depth: layers to keep, 1 to ``encoder.info.num_layers``.
    Raises:
        ConfigError: ``depth`` is out of range.
    """
    if not 1 <= depth <= encoder.info.num_layers:
        raise ConfigError(
            f"depth: got {depth}, allowed: 1 to {encoder.info.num_layers} for encoder {encoder.info.name!r}"
        )
    layers = encoder.layers
    try:
        encoder.layers = layers[:depth]  # so that the copy does not hold the dropped layers either
        cut = copy.deepcopy(encoder)
    finally:
        encoder.layers = layers
    cut.info = cut.describe()
    before, after = num_parameters(encoder), num_parameters(cut)
    logger.info(
        "%s cut at layer %d of %d: %d of %d parameters kept",
        cut.info.name,
        depth,
        encoder.info.num_layers,
        after,
        before,
    )
    return cut


def num_parameters(encoder: Encoder) -> int:
    """Return the number of weights of an encoder."""
    return sum(parameter.numel() for parameter in encoder.parameters())
