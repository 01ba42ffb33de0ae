"""Cross-stitch units: towers apart at first, joined as the weights say, one keyword as head ``conv``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from kws.heads import build_head
from kws.heads.conv import CHANNELS, ConvHead
from kws.heads.cross_stitch import CrossStitch, CrossStitchHead
from tests.support.streams import in_pieces
from tests.tolerances import STREAMING

DIMENSION, KEYWORDS = 12, 3


def make_head(num_keywords: int = KEYWORDS) -> CrossStitchHead:
    head = build_head("cross_stitch", DIMENSION, num_keywords).eval()
    assert isinstance(head, CrossStitchHead)
    return head


def test_the_towers_are_apart_at_first_to_the_last_bit():
    head, features = make_head(), torch.randn(2, 60, DIMENSION)
    found = in_pieces(head, features, (7, 30, 23))
    for number, tower in enumerate(head.towers):
        assert isinstance(tower, ConvHead)
        alone = in_pieces(tower, features, (7, 30, 23))
        assert torch.equal(found[:, :, number : number + 1], alone)


def test_one_keyword_is_head_conv():
    head, plain = make_head(1), ConvHead(DIMENSION, 1).eval()
    plain.load_state_dict(head.towers[0].state_dict())
    features = torch.randn(1, 40, DIMENSION)
    assert torch.equal(head(features, head.initial_state(1))[0], plain(features, plain.initial_state(1))[0])
    counts = [sum(parameter.numel() for parameter in each.parameters()) for each in (head, plain)]
    assert counts[0] == counts[1]


def test_a_unit_is_the_linear_combination_that_its_weights_say():
    unit = CrossStitch(2, 2)
    with torch.no_grad():
        unit.weight.copy_(torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[1.0, -2.0], [0.0, 1.0]]]))
    first, second = torch.tensor([[[10.0, 3.0]]]), torch.tensor([[[20.0, 5.0]]])  # (1, 1 frame, 2 channels)
    joined = unit([first, second])
    assert_close(joined[0], torch.tensor([[[0.9 * 10 + 0.1 * 20, 3.0 - 2 * 5.0]]]))
    assert_close(joined[1], torch.tensor([[[0.3 * 10 + 0.7 * 20, 5.0]]]))


@torch.no_grad()
def test_towers_that_are_swapped_by_every_unit_are_walked_crosswise():
    """A unit that swaps two towers hands each the other's features; three units end swapped."""
    head, features = make_head(2), torch.randn(1, 40, DIMENSION)
    for unit in head.units:
        unit.weight.copy_(torch.eye(2).flip(0).expand_as(unit.weight))
    one, two = head.towers
    assert isinstance(one, ConvHead) and isinstance(two, ConvHead)

    def walk(entry: ConvHead, first: ConvHead, second: ConvHead, output: ConvHead) -> Tensor:
        hidden = entry.enter(features)
        for layer in (first.first, second.second):
            hidden = torch.relu(layer(hidden, layer.initial_state(1))[0])
        return output.leave(hidden)

    expected = torch.cat([walk(two, one, two, one), walk(one, two, one, two)], dim=-1)
    assert_close(head(features, head.initial_state(1))[0], expected, atol=STREAMING, rtol=0)


def test_the_units_learn_from_the_first_step_on_also_what_they_do_not_use_yet():
    head = make_head().train()
    logits, _ = head(torch.randn(4, 60, DIMENSION), head.initial_state(4))
    logits[:, :, 0].square().sum().backward()
    for unit in head.units:
        assert unit.weight.shape == (CHANNELS, KEYWORDS, KEYWORDS)
        assert unit.weight.grad[:, 0, 1].abs().sum() > 0, "what keyword 0 takes from keyword 1"
