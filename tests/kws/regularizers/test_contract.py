"""What every regulariser promises: a finite scalar with a gradient, unchanged rows, helpful errors."""

from __future__ import annotations

import pytest
import torch

from kws.errors import ConfigError
from kws.regularizers import available_regularizers, build_regularizer, check_weights
from kws.training.loop import TrainConfig
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import step_of
from tests.support.training import tiny_model


@pytest.mark.parametrize("name", available_regularizers())
def test_is_a_finite_scalar_that_moves_what_may_move(name: str):
    model = tiny_model(depth=3)
    apply_policy(model, TransferConfig("late", num_layers=1))
    term = build_regularizer(name, model)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.01 * torch.randn_like(parameter)
    value = term(model, step_of(model))
    assert value.shape == () and torch.isfinite(value)
    value.backward()
    moved = [p.grad.abs().sum() for p in [*model.parameters(), *term.parameters()] if p.grad is not None]
    assert moved and float(torch.stack(moved).sum()) > 0
    assert all(
        p.grad is None and torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"l3_sp": 0.1}, "train.regularizers: unknown key 'l3_sp', allowed: .*l2_sp"),
        ({"l2_sp": 0}, "train.regularizers.l2_sp: got 0, allowed: a weight above 0; leave it out for none"),
        ({"l2_sp": "much"}, "train.regularizers.l2_sp: got 'much'"),
        ({"l2_sp": True}, "train.regularizers.l2_sp: got True"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        check_weights(weights)
    with pytest.raises(ConfigError, match=message):
        TrainConfig(regularizers=weights)
