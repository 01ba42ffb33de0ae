"""Columns: what was learnt before stays bit-identical, and a new column hears it through its adapters."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from kws.errors import ConfigError
from kws.heads import ColumnsHead, Head, add_column, build_head
from kws.heads.columns import Adapter, ColumnsOptions
from kws.heads.conv import ConvHead
from kws.model import WakeWordModel
from kws.transfer import TransferConfig, apply_policy
from tests.support.streams import in_pieces
from tests.support.training import tiny_model
from tests.tolerances import STREAMING

DIMENSION = 12


def logits_of(head: Head, features: torch.Tensor) -> torch.Tensor:
    return in_pieces(head, features, (5, 20, 15))


def test_the_first_columns_keep_their_logits_to_the_last_bit():
    features = torch.randn(2, 40, DIMENSION)
    first = ConvHead(DIMENSION, 2).eval()
    second = add_column(first, DIMENSION, 1).eval()
    third = add_column(second, DIMENSION, 3).eval()
    assert (second.sizes, third.sizes) == ((2, 1), (2, 1, 3))
    found = logits_of(third, features)
    assert found.shape == (2, 40, 6)
    assert torch.equal(found[:, :, :2], logits_of(first, features))
    assert torch.equal(found[:, :, :3], logits_of(second, features))
    third.newest_only = True
    assert torch.equal(logits_of(third, features), found[:, :, 3:])


def test_an_adapter_is_the_formula_of_the_paper():
    adapter = Adapter(4, 3)
    one, two = torch.randn(1, 5, 2), torch.randn(1, 5, 2)
    joined = torch.cat([one, two], dim=2)
    reduced = torch.relu((adapter.scale * joined) @ adapter.reduce.weight.T)
    assert_close(adapter([one, two]), reduced @ adapter.expand.weight.T)


@torch.no_grad()
def test_a_new_column_is_head_conv_with_what_its_adapters_add():
    """h2 = relu(first(h1) + U relu(V a g1)), and so on, where g are the features of the first column."""
    features = torch.randn(1, 40, DIMENSION)
    head = add_column(ConvHead(DIMENSION, 1), DIMENSION, 1).eval()
    old, new = head.columns
    low, high, last = head.adapters[0]
    given, hidden = old.enter(features), new.enter(features)
    for name, adapter in (("first", low), ("second", high)):
        layer, beside = getattr(new, name), getattr(old, name)
        hidden = torch.relu(layer(hidden, layer.initial_state(1))[0] + adapter([given]))
        given = torch.relu(beside(given, beside.initial_state(1))[0])
    expected = new.output(hidden) + last([given])
    assert_close(logits_of(head, features)[:, :, 1:], expected, atol=STREAMING, rtol=0)
    without = ConvHead(DIMENSION, 1).eval()
    without.load_state_dict(new.state_dict())
    assert (logits_of(without, features) - expected).abs().max() > 1e-4, "the adapters are heard at first"


def test_only_the_new_column_moves_and_the_finished_one_stays_in_eval_mode():
    model = tiny_model()
    head = add_column(model.head, 16, 1)
    grown = WakeWordModel(model.encoder, head, ("other",))
    head.newest_only = True
    before = {name: tensor.clone() for name, tensor in grown.state_dict().items()}
    _, groups = apply_policy(grown, TransferConfig("head"))
    assert [group.name for group in groups] == ["head"]
    optimizer = torch.optim.AdamW(groups[0].parameters, lr=0.01, weight_decay=0.1)
    grown.train()
    assert not head.columns[0].dropout.training and head.columns[1].dropout.training
    for _ in range(3):
        optimizer.zero_grad()
        logits, _ = grown(0.1 * torch.randn(2, 12_800), torch.tensor([12_800, 12_800]))
        assert logits.shape[2] == 1
        logits.square().mean().backward()
        optimizer.step()
    still = ("encoder.", "head.columns.0.")
    for name, tensor in grown.state_dict().items():
        assert torch.equal(tensor, before[name]) is name.startswith(still), name


def test_other_heads_are_refused():
    for name in ("gru", "cross_stitch"):
        with pytest.raises(ConfigError, match="allowed: conv, or columns .* first with `model.head=conv`"):
            add_column(build_head(name, DIMENSION, 1), DIMENSION, 1)
    with pytest.raises(ConfigError, match="head: got 'colums', allowed: attention"):
        build_head("colums", DIMENSION, 1)
    assert isinstance(build_head("columns", DIMENSION, 3, ColumnsOptions((1, 2))), ColumnsHead)
