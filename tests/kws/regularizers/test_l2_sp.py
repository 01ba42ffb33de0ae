"""L2-SP beside its value and gradient by hand."""

from __future__ import annotations

import torch

from kws.regularizers import build_regularizer
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import step_of
from tests.support.training import tiny_model


def test_is_half_the_squared_distance_of_what_moves_and_pulls_it_back():
    model = tiny_model(depth=3)
    apply_policy(model, TransferConfig("late", num_layers=1))
    term = build_regularizer("l2_sp", model)
    step = step_of(model)
    assert float(term(model, step)) == 0.0
    moving, frozen = model.encoder.layers[2].expand.weight, model.encoder.layers[0].expand.weight
    with torch.no_grad():
        moving[0, :2] += torch.tensor([3.0, -4.0])
        frozen += 1.0  # does not move in training: no business of the term
        model.head.output.weight += 1.0  # new: has no source
    value = term(model, step)
    assert abs(float(value) - 12.5) < 1e-5
    value.backward()
    assert moving.grad is not None and frozen.grad is None
    torch.testing.assert_close(moving.grad[0, :3], torch.tensor([3.0, -4.0, 0.0]), atol=1e-6, rtol=0)


def test_costs_nothing_where_only_the_head_moves():
    model = tiny_model()
    apply_policy(model, TransferConfig("head"))
    assert float(build_regularizer("l2_sp", model)(model, step_of(model))) == 0.0
