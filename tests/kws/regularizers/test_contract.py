"""What every regulariser promises: a finite scalar with a gradient, unchanged rows, helpful errors."""

from __future__ import annotations

import pytest
import torch

from kws.encoders.registry import load_recognizer
from kws.errors import ConfigError
from kws.regularizers import (
    Resources,
    available_regularizers,
    build_regularizer,
    check_weights,
    from_scratch,
    load_phones,
)
from kws.regularizers.base import Frozen
from kws.training.config import TrainConfig
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import recognizer_of, resources_of, step_of
from tests.support.training import tiny_model


@pytest.mark.parametrize("name", available_regularizers())
def test_is_a_finite_scalar_that_moves_what_may_move(name: str):
    model = tiny_model(depth=3)
    apply_policy(model, TransferConfig("late", num_layers=1))
    term = build_regularizer(name, model, resources_of(model))
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


@pytest.mark.parametrize("name", available_regularizers())
def test_is_made_without_a_trace_in_the_model_or_the_random_state(name: str):
    model = tiny_model(depth=3).train()
    apply_policy(model, TransferConfig("late", num_layers=1))
    resources, before = resources_of(model), {n: t.clone() for n, t in model.state_dict().items()}
    modes, state = [module.training for module in model.modules()], torch.get_rng_state()
    build_regularizer(name, model, resources)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())


NEAR_SOURCE = ["distillation", "ewc", "feature_matching", "l2_sp"]


@pytest.mark.parametrize("name", NEAR_SOURCE)
def test_staying_near_the_source_costs_nothing_there_and_with_the_head_alone_nothing_ever(name: str):
    model = tiny_model(depth=3)
    apply_policy(model, TransferConfig("all"))
    term = build_regularizer(name, model.eval(), resources_of(model)).train()
    assert abs(term(model, step_of(model)).item()) < 1e-6
    apply_policy(model, TransferConfig("head"))
    term = build_regularizer(name, model, resources_of(model))
    value = term(model, step_of(model))
    assert float(value) == 0.0 and not value.requires_grad


def test_from_scratch_what_stays_near_a_source_is_left_out():
    weights = {name: 1.0 + index for index, name in enumerate(available_regularizers())}
    assert from_scratch(weights) == {n: weight for n, weight in weights.items() if n not in NEAR_SOURCE}


def test_a_frozen_copy_stays_as_it_is():
    model = tiny_model().train()
    copied = Frozen(model.encoder).train()
    assert not any(module.training for module in copied.modules()) and model.encoder.training
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    with torch.no_grad():
        next(model.encoder.parameters()).add_(1.0)
    one, other = next(copied.parameters()), next(model.encoder.parameters())
    torch.testing.assert_close(other - one, torch.ones_like(one))


@pytest.mark.parametrize("name", ["distillation", "ewc"])
def test_phone_outputs_that_are_lacking_or_of_another_encoder_are_refused(name: str):
    model = tiny_model()
    where = f"train.regularizers.{name}"
    with pytest.raises(ConfigError, match=f"{where}: needs .* got none; .* or take `feature_matching`"):
        build_regularizer(name, model)
    with pytest.raises(
        ConfigError, match=f"{where}: the model gives 16 features every 640 samples, the recogniser 192"
    ):
        build_regularizer(name, model, resources_of(model)._replace(recognizer=load_recognizer()))
    with pytest.raises(
        ConfigError, match=f"{where}: encoder 'hubert_base' has no phone outputs; .*or take `feature_match"
    ):
        load_phones({"l2_sp": 1.0, name: 1.0}, "hubert_base", None)
    assert load_phones({"l2_sp": 1.0}, "hubert_base", None) is None


def test_ewc_without_audio_is_refused():
    model = tiny_model()
    with pytest.raises(ConfigError, match="train.regularizers.ewc: needs audio, got none; give `batch`"):
        build_regularizer("ewc", model, Resources(recognizer=recognizer_of(model)))


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
