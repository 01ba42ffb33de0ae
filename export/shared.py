"""Several trained words as one model: what their encoders have in common is walked once.

Called by :mod:`export.join`. The model is a :class:`kws.model.WakeWordModel`, so that one road leads from it
to a file. Layers are shared where they and all below them are bit-identical.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from export.joined_heads import JoinedHead, Word, merge_heads
from kws.encoders.base import Encoder, EncoderInfo
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.model import WakeWordModel
from kws.structs import StreamState

WAVEFORM = -1
"""Parent of the parts that hear the audio itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part stands in the tree."""

    parent: int
    """Number of the part whose features it takes, or :data:`WAVEFORM`."""
    num_states: int
    """Tensors of its state."""


class Front(nn.Module):
    """The front end and the stem of an embedded encoder.

    Args:
        encoder: of which they are.
    """

    def __init__(self, encoder: EmbeddedEncoder) -> None:
        super().__init__()
        self.frontend, self.stem = encoder.frontend, encoder.stem

    def initial_state(self, batch: int) -> StreamState:
        """Return zeros for the front end and the stem."""
        return [self.frontend.initial_state(batch), *self.stem.initial_state(batch)]

    def forward(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """(batch, samples) to (batch, samples // hop_samples, feature), and the next state."""
        features, samples = self.frontend(waveform, state[0])
        features, after = self.stem(features, state[1:])
        return features, [samples, *after]


class WholeEncoder(nn.Module):
    """An encoder that is not taken apart.

    Args:
        encoder: cut to its depth.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def initial_state(self, batch: int) -> StreamState:
        """See :meth:`kws.encoders.base.Encoder.initial_state`."""
        return self.encoder.initial_state(batch)

    def forward(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`kws.encoders.base.Encoder.run`."""
        return self.encoder.run(waveform, state)


class SharedEncoder(Encoder):
    """A tree of parts; its features are those of every encoder in it, one beside the other.

    Args:
        encoders: of the words, of one hop and one chunk.
    Attributes:
        leaves: numbers of the parts whose features are given, in order.
        leaf_of: of each encoder, which of the leaves it is.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self.places: list[Place] = []
        self.layers = nn.ModuleList()
        self.stem = nn.Identity()
        known: dict[Hashable, int] = {}
        ends = [self._plant(encoder, known) for encoder in encoders]
        self.leaves = sorted(set(ends))
        self.leaf_of = [self.leaves.index(end) for end in ends]
        self._infos = [encoder.info for encoder in encoders]
        self.info = self.describe()

    def shape(self) -> dict[str, Any]:
        """See :meth:`Encoder.shape`; nothing builds one of these from plain values."""
        return {"parents": [place.parent for place in self.places], "leaves": self.leaves}

    def describe(self) -> EncoderInfo:
        """Say what holds for all: the longest look-ahead and memory, and the licence of each."""
        first = self._infos[0]
        distinct = {self.leaf_of[number]: info.dimension for number, info in enumerate(self._infos)}
        return replace(
            first,
            name=_joined(" + ", [info.name for info in self._infos]),
            receptive_field_samples=max(info.receptive_field_samples for info in self._infos),
            lookahead_samples=max(info.lookahead_samples for info in self._infos),
            dimension=sum(distinct.values()),
            num_layers=len(self.layers),
            license=_joined(" AND ", [info.license for info in self._infos]),
            source=_joined(" + ", [info.source for info in self._infos]),
        )

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the parts, one part after the other."""
        return [tensor for part in self.layers for tensor in part.initial_state(batch)]  # type: ignore[operator]

    def run(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Encoder.run`."""
        found: list[Tensor] = []
        next_state: StreamState = []
        for part, place in zip(self.layers, self.places, strict=True):
            before = waveform if place.parent == WAVEFORM else found[place.parent]
            own = state[len(next_state) : len(next_state) + place.num_states]
            features, after = part(before, own)
            found.append(features)
            next_state += after
        given = [found[leaf] for leaf in self.leaves]
        return given[0] if len(given) == 1 else torch.cat(given, dim=-1), next_state

    def _plant(self, encoder: Encoder, known: dict[Hashable, int]) -> int:
        """Add the parts of an encoder that are not there yet; returns the number of its last part."""
        parts: list[nn.Module] = [WholeEncoder(encoder)]
        if isinstance(encoder, EmbeddedEncoder):
            parts = [Front(encoder), *encoder.layers]
        shape, parent = json.dumps(encoder.shape(), sort_keys=True, default=str), WAVEFORM
        for height, part in enumerate(parts):
            # the shape says what the weights do not: the wait for the look-ahead, the order of the layers
            key = (parent, height, encoder.info.name, shape, digest(part))
            if key not in known:
                known[key] = len(self.layers)
                self.layers.append(part)
                self.places.append(Place(parent, len(part.initial_state(1))))  # type: ignore[operator]
            parent = known[key]
        return parent


def digest(module: nn.Module) -> str:
    """Return a hash of all weights and kept buffers of a module, to the bit."""
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def join_models(words: Sequence[Word]) -> WakeWordModel:
    """Return one model that scores the keywords of several, in their order.

    Args:
        words: of one hop and one chunk; their modules are used, not copied.
    """
    encoder = SharedEncoder([word.model.encoder for word in words])
    widths = [0] * len(encoder.leaves)
    for leaf, word in zip(encoder.leaf_of, words, strict=True):
        widths[leaf] = word.model.encoder.info.dimension
    heads = merge_heads(words, encoder.leaf_of, digest)
    keywords = [keyword for word in words for keyword in word.model.keywords]
    return WakeWordModel(encoder, JoinedHead(heads, widths), keywords).eval()


def _joined(between: str, texts: Sequence[str]) -> str:
    return between.join(dict.fromkeys(texts))
