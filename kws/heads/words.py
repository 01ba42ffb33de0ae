"""Heads ``attributes`` and ``words``: typed phrases as places in a space of words, without any training.

A window of speech as long as the phrase is mapped into the space of :mod:`kws.phone_attributes`; its score is
how near it lies to the phrase. The maps are learnt once, for a recogniser:
:mod:`kws.pretraining.word_space`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kws.heads.base import Head
from kws.phone_attributes import DIMENSION, SEGMENTS, embed, segment_means
from kws.structs import StreamState

WORDS = "words.safetensors"
"""The maps, in the folder of the recogniser."""
FRAMES_PER_PHONE = 2.2
"""Encoder frames of 40 ms that a phone of fluent speech takes."""
KNOWN_WORDS = 400
"""Words of which the combination is made."""
DEPTH = 6
"""Encoder layers below the maps: as many as a trained detector keeps by default."""
SLOPE, MIDDLE = 12.0, 0.5
"""Logit = slope * (nearness - middle)."""


def window_frames(num_phones: int) -> int:
    """Return how many frames a word of so many phones is expected to take."""
    return max(SEGMENTS, round(num_phones * FRAMES_PER_PHONE))


class AttributeSpace(nn.Module):
    """A linear map from the means of a window's parts to the attributes of the phones said in it.

    Source: attribute label embedding with a ranking loss, Akata et al., arXiv:1503.08677.

    Args:
        dimension: features per frame.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)
        self.project = nn.Linear(SEGMENTS * dimension, DIMENSION)

    def forward(self, parts: Tensor) -> Tensor:
        """Map (..., SEGMENTS, dimension) means to (..., DIMENSION) of length 1."""
        return nn.functional.normalize(self.project(self.norm(parts).flatten(-2)), dim=-1)


class WordSpace(nn.Module):
    """The convex combination of known words' places, each as likely as the word is in the window.

    The length of the result is the likelihood that it is a known word at all. Source: Norouzi et al.,
    arXiv:1312.5650.

    Args:
        dimension: features per frame.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)
        self.classify = nn.Linear(SEGMENTS * dimension, KNOWN_WORDS + 1)
        """The last output is that of anything else."""
        self.places: Tensor
        self.register_buffer("places", torch.zeros(KNOWN_WORDS, DIMENSION))

    def logits(self, parts: Tensor) -> Tensor:
        """Return (..., KNOWN_WORDS + 1) logits of the known words and of anything else."""
        logits: Tensor = self.classify(self.norm(parts).flatten(-2))
        return logits

    def forward(self, parts: Tensor) -> Tensor:
        """Map (..., SEGMENTS, dimension) means to (..., DIMENSION)."""
        likely = torch.softmax(self.logits(parts), dim=-1)
        known = 1 - likely[..., -1:]
        return known * nn.functional.normalize(likely[..., :-1] @ self.places, dim=-1)


SPACES: dict[str, type[AttributeSpace] | type[WordSpace]] = {"attributes": AttributeSpace, "words": WordSpace}
"""The maps by the name of their head."""


class WordSpaceHead(Head):
    """The nearness of the last frames to each typed phrase, in a learnt space of words.

    Args:
        dimension: features per encoder frame.
        space: name of the map, one of :data:`SPACES`.
        pronunciations: of each keyword one or more, as ARPAbet phones between spaces; the nearest counts.
    Raises:
        ManifestError: a phone is unknown.
    """

    def __init__(self, dimension: int, space: str, pronunciations: Sequence[Sequence[str]]) -> None:
        super().__init__()
        self.space = SPACES[space](dimension)
        self.dimension = dimension
        self.groups = [len(spoken) for spoken in pronunciations]
        ways = [way for spoken in pronunciations for way in spoken]
        self.lengths = [window_frames(len(way.split())) for way in ways]
        self.memory_frames = max(self.lengths) - 1
        self.places: Tensor
        self.windows: Tensor
        windows = torch.zeros(len(ways), SEGMENTS, 1 + self.memory_frames)
        for window, length in zip(windows, self.lengths, strict=True):
            window[:, -length:] = segment_means(length)
        self.register_buffer("places", torch.stack([embed(way) for way in ways]), persistent=False)
        self.register_buffer("windows", windows.flatten(0, 1)[:, None], persistent=False)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state: the frames of the longest window but the last."""
        return [torch.zeros(batch, self.memory_frames, self.dimension)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        batch, time = features.shape[:2]
        joined = torch.cat([state[0], features], dim=1)
        rows = joined.transpose(1, 2).reshape(batch * self.dimension, 1, -1)
        means = nn.functional.conv1d(rows, self.windows)  # (batch * dimension, way * part, time)
        means = means.reshape(batch, self.dimension, len(self.lengths), SEGMENTS, time)
        found = self.space(means.permute(0, 4, 2, 3, 1))  # (batch, time, way, DIMENSION)
        near = (found * self.places).sum(-1).split(self.groups, dim=-1)
        best = torch.stack([ways.amax(dim=-1) for ways in near], dim=-1)
        return SLOPE * (best - MIDDLE), [joined[:, -self.memory_frames :]]
