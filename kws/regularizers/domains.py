"""Frames of two domains side by side, for terms that bring them together."""

from __future__ import annotations

from torch import Tensor

from kws.model import WakeWordModel
from kws.regularizers.base import Step, valid_frames

FRAMES = 400
"""Of each domain at most so many frames are compared, evenly spaced."""


def frames_of_domains(model: WakeWordModel, step: Step, most: int = FRAMES) -> tuple[Tensor, Tensor]:
    """Return what the kept layers give for audio of either domain.

    Args:
        model: hears the target domain; both with gradient.
        step: its ``batch.domains`` says which rows are of the source domain.
        most: frames of each that are returned.
    Returns:
        (frames, feature) of the source domain and of the target domain; either may be empty.
    """
    domains = step.batch.domains
    assert domains is not None  # the loop gives it where `needs_domains`
    source = step.features[step.valid & domains.source[:, None]]
    heard, lengths = model.encoder(domains.waveform, domains.lengths)
    return _thinned(source, most), _thinned(heard.float()[valid_frames(heard, lengths)], most)


def _thinned(frames: Tensor, most: int) -> Tensor:
    """Keep at most so many rows, evenly spaced."""
    return frames[:: max(1, -(-len(frames) // most))]
