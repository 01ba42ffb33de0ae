"""The heads of several words over the features of one :class:`export.shared.SharedEncoder`.

Heads of one kind over one encoder become one head with larger products, as each small product costs time of
its own. Called by :mod:`export.shared`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from export.graph import gather_windows
from kws.heads import Head, PhraseWindowHead, TypedOptions, WindowHead
from kws.heads.conv import ConvHead
from kws.model import ModelConfig, WakeWordModel
from kws.structs import StreamState


@dataclass(frozen=True, slots=True)
class Word:
    """A trained model that is joined with others."""

    model: WakeWordModel
    """In eval mode, on the processor."""
    config: ModelConfig
    """What it is made of."""


@dataclass(frozen=True, slots=True)
class PlacedHead:
    """A head and where it stands."""

    head: Head
    """Of one word, or of several."""
    leaf: int
    """Which of the encoder's outputs it takes."""
    columns: tuple[int, ...]
    """Which keywords of the file its logits are of."""


class JoinedHead(Head):
    """Heads side by side, each over its part of the features.

    Args:
        heads: with all columns between them.
        widths: features of each output of the encoder.
    """

    def __init__(self, heads: Sequence[PlacedHead], widths: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(placed.head for placed in heads)
        self.leaves = [placed.leaf for placed in heads]
        self.widths = list(widths)
        self.memory_frames = max(placed.head.memory_frames for placed in heads)
        self._num_states = [len(placed.head.initial_state(1)) for placed in heads]
        columns = [column for placed in heads for column in placed.columns]
        self._sorted = columns == sorted(columns)
        self.order: Tensor
        self.register_buffer("order", torch.tensor(columns).argsort(), persistent=False)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the heads, one head after the other."""
        return [tensor for head in self.heads for tensor in head.initial_state(batch)]  # type: ignore[operator]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        parts = torch.split(features, self.widths, dim=-1) if len(self.widths) > 1 else (features,)
        logits: list[Tensor] = []
        next_state: StreamState = []
        for head, leaf, num_states in zip(self.heads, self.leaves, self._num_states, strict=True):
            own = state[len(next_state) : len(next_state) + num_states]
            found, after = head(parts[leaf], own)
            logits.append(found)
            next_state += after
        joined = logits[0] if len(logits) == 1 else torch.cat(logits, dim=-1)
        return joined if self._sorted else joined.index_select(-1, self.order), next_state


class ConvHeads(Head):
    """Several heads ``conv`` as one: one norm, one projection, and windows and states in one piece.

    Args:
        heads: over the same features.
    """

    memory_frames = ConvHead.memory_frames

    def __init__(self, heads: Sequence[ConvHead]) -> None:
        super().__init__()
        self.num_heads = len(heads)
        self.norm = nn.LayerNorm(list(heads[0].norm.normalized_shape), elementwise_affine=False)
        # scale and offset of each norm go into the product that follows it
        self.project = nn.Parameter(torch.cat([(h.project.weight * h.norm.weight).t() for h in heads], dim=1))
        offsets = [head.project.weight @ head.norm.bias + head.project.bias for head in heads]
        self.project_bias = nn.Parameter(torch.cat(offsets))
        self.histories = [layer.history for layer in heads[0].layers]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for number, layer in enumerate(heads[0].layers):
            convs = [head.layers[number].conv for head in heads]
            kernel = layer.conv.kernel_size[0]
            for conv in convs:  # (kernel * channel, channel)
                by_window = conv.weight.permute(2, 1, 0).reshape(-1, conv.out_channels)
                self.weights.append(by_window.contiguous())
            self.biases.append(torch.stack([_bias(conv) for conv in convs])[:, None])
            offset = torch.arange(kernel) * layer.conv.dilation[0]
            self.register_buffer(f"offsets_{number}", offset, persistent=False)
        outputs = [head.output.weight.t() for head in heads]
        self.output = nn.Parameter(torch.block_diag(*outputs))  # type: ignore[no-untyped-call]
        self.output_bias = nn.Parameter(torch.cat([head.output.bias for head in heads]))

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero states of the convolutions, (batch, history, head * channel)."""
        width = self.project.shape[1]
        return [self.project.new_zeros(batch, history, width) for history in self.histories]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        batch, time = features.shape[:2]
        flat = torch.relu(
            self.norm(features) @ self.project + self.project_bias
        )  # (batch, time, head * channel)
        channels = flat.shape[2] // self.num_heads
        next_state: StreamState = []
        for number, before in enumerate(state):
            joined = torch.cat([before, flat], dim=1)
            offsets = self.get_buffer(f"offsets_{number}")
            frames = torch.arange(time, device=flat.device)[:, None] + offsets  # (time, kernel)
            windows = gather_windows(joined, frames)  # (batch, time, kernel, head * channel)
            windows = windows.reshape(batch, time, len(offsets), self.num_heads, channels).permute(
                0, 3, 1, 2, 4
            )
            windows = windows.reshape(batch, self.num_heads, time, len(offsets) * channels)
            own = self.weights[number * self.num_heads : (number + 1) * self.num_heads]
            # one product a head: onnxruntime packs and quantizes weights of two axes only
            pieces = zip(torch.split(windows, 1, dim=1), own, strict=True)
            hidden = torch.cat([window @ weight for window, weight in pieces], dim=1)
            hidden = torch.relu(hidden + self.biases[number])  # (batch, head, time, channel)
            flat = hidden.transpose(1, 2).reshape(batch, time, self.num_heads * channels)
            next_state.append(joined[:, -self.histories[number] :])
        return flat @ self.output + self.output_bias, next_state


def merge_heads(
    words: Sequence[Word], leaf_of: Sequence[int], digest: Callable[[nn.Module], str]
) -> list[PlacedHead]:
    """Return the heads of all words, those of one kind over the same features as one.

    Args:
        words: in the order of their keywords.
        leaf_of: of each word, which output of the encoder its head takes.
        digest: a hash of the weights of a module.
    """
    groups: dict[object, list[int]] = {}
    for number, word in enumerate(words):
        head = word.model.head
        kind: object = number  # alone
        if type(head) is ConvHead:
            kind = (ConvHead, leaf_of[number], head.output.out_features)
        elif type(head) is WindowHead:
            kind = (WindowHead, leaf_of[number])
        elif type(head) is PhraseWindowHead:
            kind = (PhraseWindowHead, leaf_of[number], digest(head.phrase.output), digest(head.blocks))
        groups.setdefault(kind, []).append(number)
    firsts = [sum(len(word.model.keywords) for word in words[:number]) for number in range(len(words))]
    placed = []
    for members in groups.values():
        columns = [firsts[n] + i for n in members for i in range(len(words[n].model.keywords))]
        head = _merge([words[number] for number in members])
        placed.append(PlacedHead(head, leaf_of[members[0]], tuple(columns)))
    return placed


def _merge(words: Sequence[Word]) -> Head:
    """Return one head for words whose heads are of one kind."""
    heads = [word.model.head for word in words]
    if len(heads) == 1:
        return heads[0]
    convs = [head for head in heads if isinstance(head, ConvHead)]
    windows = [head for head in heads if isinstance(head, WindowHead)]
    if convs:
        return ConvHeads(convs)
    return _merge_windows(windows) if windows else _merge_typed(words)


def _merge_windows(heads: Sequence[WindowHead]) -> WindowHead:
    """Return one head ``window`` with the outputs of several."""
    convs = [head.output.conv for head in heads]
    joined = WindowHead(convs[0].in_channels, sum(conv.out_channels for conv in convs))
    with torch.no_grad():
        joined.output.conv.weight.copy_(torch.cat([conv.weight for conv in convs]))
        _bias(joined.output.conv).copy_(torch.cat([_bias(conv) for conv in convs]))
    return joined


def _merge_typed(words: Sequence[Word]) -> PhraseWindowHead:
    """Return one head ``phrase_window`` with the phrases of several that read the same phones."""
    heads = [word.model.head for word in words]
    spoken: list[tuple[str, ...]] = []
    for word in words:
        assert isinstance(word.config.options, TypedOptions)
        spoken += word.config.options.pronunciations
    first, typed = heads[0], [head for head in heads if isinstance(head, PhraseWindowHead)]
    assert isinstance(first, PhraseWindowHead)
    joined = PhraseWindowHead(words[0].model.encoder.info.dimension, spoken, first.blocks)
    joined.phrase.output.load_state_dict(first.phrase.output.state_dict())
    joined.window = _merge_windows([head.window for head in typed])
    with torch.no_grad():
        joined.scale.copy_(torch.cat([head.scale for head in typed], dim=1))
        joined.offset.copy_(torch.cat([head.offset for head in typed], dim=1))
    return joined


def _bias(conv: nn.Conv1d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
