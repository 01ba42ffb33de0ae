"""What every head must keep: shapes, causality, streaming = offline, rows that do not know each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kws.errors import ConfigError
from kws.heads import COLUMNS, Head, available_heads, build_head
from kws.heads.attention import AttentionHead
from kws.heads.columns import ColumnsOptions
from kws.structs import StreamState
from tests.tolerances import CPU_REFACTOR, PADDED, STREAMING

DIMENSION, KEYWORDS, FRAMES = 12, 3, 120
HEADS = [*available_heads(), COLUMNS]
OPTIONS_OF = {COLUMNS: ColumnsOptions((1, KEYWORDS - 1))}


def make_head(name: str) -> Head:
    head = build_head(name, DIMENSION, KEYWORDS, OPTIONS_OF.get(name)).eval()
    for parameter in head.parameters():  # biases and position weights too, so that none is hidden by its zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    return head


@torch.no_grad()
def whole(head: Head, features: Tensor) -> Tensor:
    return head(features, head.initial_state(features.shape[0]))[0]


def shapes(state: StreamState) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in state]


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("frames", [1, 2, 50])
def test_gives_one_logit_per_frame_and_keyword_and_keeps_the_state_shapes(name: str, frames: int):
    head = make_head(name)
    state = head.initial_state(4)
    assert all(not tensor.any() and tensor.dtype == torch.float32 for tensor in state)
    logits, next_state = head(torch.randn(4, frames, DIMENSION), state)
    assert logits.shape == (4, frames, KEYWORDS)
    assert shapes(next_state) == shapes(state)
    assert all(tensor.shape[0] == 4 for tensor in state), "batch first"


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_streaming_in_random_pieces_is_offline(name: str, seed: int):
    head, features = make_head(name), torch.randn(2, FRAMES, DIMENSION)
    generator = torch.Generator().manual_seed(seed)
    state, pieces, start = head.initial_state(2), [], 0
    while start < FRAMES:
        stop = start + int(torch.randint(1, 30, (), generator=generator))
        logits, state = head(features[:, start:stop], state)
        pieces.append(logits)
        start = stop
    assert len(pieces) > 4
    assert_close(torch.cat(pieces, dim=1), whole(head, features), atol=STREAMING, rtol=0)


@pytest.mark.parametrize("name", HEADS)
def test_a_row_does_not_depend_on_its_batch(name: str):
    head, features = make_head(name), torch.randn(3, FRAMES, DIMENSION)
    assert_close(whole(head, features)[1:2], whole(head, features[1:2]), atol=PADDED, rtol=0)


@pytest.mark.parametrize("name", HEADS)
def test_padding_after_the_end_changes_no_frame_before_it(name: str):
    head, features = make_head(name), torch.randn(2, FRAMES, DIMENSION)
    padded = torch.cat([features, 100 * torch.randn(2, 30, DIMENSION)], dim=1)
    assert_close(whole(head, padded)[:, :FRAMES], whole(head, features), atol=PADDED, rtol=0)


@pytest.mark.parametrize("name", HEADS)
def test_nothing_older_than_the_declared_memory_counts(name: str):
    head, features = make_head(name), torch.randn(1, FRAMES, DIMENSION)
    changed = features.clone()
    changed[:, 10] = torch.randn(DIMENSION)
    difference = (whole(head, changed) - whole(head, features)).abs().amax(dim=(0, 2))
    assert not difference[:10].any(), "causal"
    assert difference[10] > 1e-3
    assert difference[10 + head.memory_frames + 1 :].max() < STREAMING
    if name == "conv":
        assert difference[10 + head.memory_frames] > 0, "the bound is met"


@pytest.mark.parametrize("name", HEADS)
def test_weights_survive_a_round_trip_and_eval_is_repeatable(name: str):
    head, other, features = make_head(name), make_head(name), torch.randn(2, 30, DIMENSION)
    wanted = whole(head, features)
    assert not torch.equal(wanted, whole(other, features))
    other.load_state_dict(head.state_dict())
    assert_close(whole(other, features), wanted, atol=CPU_REFACTOR, rtol=0)
    assert_close(whole(head, features), wanted, atol=CPU_REFACTOR, rtol=0)


@pytest.mark.parametrize("name", HEADS)
def test_every_weight_learns(name: str):
    head = make_head(name).train()
    logits, _ = head(torch.randn(4, 60, DIMENSION), head.initial_state(4))
    logits.square().sum().backward()
    idle = [key for key, weight in head.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


@pytest.mark.parametrize("name", HEADS)
def test_each_keyword_has_an_output_of_its_own(name: str):
    head, features = make_head(name), torch.randn(1, 40, DIMENSION)
    first, second, third = whole(head, features)[0].T
    assert min((first - second).abs().max(), (second - third).abs().max()) > 1e-3


@torch.no_grad()
def test_attention_looks_at_no_frame_before_the_start():
    head = make_head("attention")
    assert isinstance(head, AttentionHead)
    features = torch.randn(1, 1, DIMENSION)
    hidden = torch.relu(head.project(head.norm(features)))
    hidden = torch.relu(head.local(hidden, head.local.initial_state(1))[0])[0, 0]  # (channel,)
    # of one real frame the weight is 1, whatever its query and position say
    joined = torch.cat([torch.relu(head.value(hidden)), hidden])
    assert_close(whole(head, features)[0, 0], head.output @ joined + head.bias, atol=STREAMING, rtol=0)
    unmasked = head.initial_state(1)
    unmasked[2] = torch.ones_like(unmasked[2])
    assert (head(features, unmasked)[0] - whole(head, features)).abs().max() > 1e-3, "silence would count"


def test_an_unknown_head_names_those_that_are_there():
    with pytest.raises(
        ConfigError, match="head: got 'transformer', allowed: attention, conv, cross_stitch, gru, linear"
    ):
        build_head("transformer", DIMENSION, 1)
