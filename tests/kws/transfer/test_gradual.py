"""Gradual unfreezing: when each part opens, and that until then it might as well be frozen for good."""

from __future__ import annotations

import pytest
import torch

from kws.config import load_config
from kws.errors import ConfigError
from kws.regularizers import build_regularizer
from kws.transfer import TransferConfig, apply_policy, open_groups
from tests.support.steps import step_of
from tests.support.training import tiny_model


@pytest.mark.parametrize(
    ("direction", "opens"),
    [
        ("down", {"head": 0.0, "layer 3": 0.2, "layer 2": 0.4, "layer 1": 0.6, "stem": 0.8}),
        ("up", {"head": 0.0, "stem": 0.2, "layer 1": 0.4, "layer 2": 0.6, "layer 3": 0.8}),
    ],
)
def test_the_head_is_first_then_one_part_after_another(direction: str, opens: dict[str, float]):
    config = load_config(TransferConfig, {"policy": "gradual", "direction": direction, "thaw": 0.8})
    _, groups = apply_policy(tiny_model(depth=3), config)
    assert {group.name: group.opens for group in groups} == pytest.approx(opens)


def test_by_default_everything_moves_from_half_of_the_training_on():
    _, groups = apply_policy(tiny_model(depth=3), TransferConfig("gradual"))
    assert [group.opens for group in groups] == pytest.approx([0.0, 0.5, 0.375, 0.25, 0.125])


def test_a_part_takes_no_gradient_and_stays_in_eval_mode_until_it_opens():
    model = tiny_model(depth=3)
    _, groups = apply_policy(model, TransferConfig("gradual", thaw=0.8))
    assert all(parameter.requires_grad for group in groups for parameter in group.parameters)
    parts = {"head": model.head, "stem": model.encoder.stem}
    parts |= {f"layer {number}": layer for number, layer in enumerate(model.encoder.layers, 1)}
    model.train()
    for progress, count in ((0.0, 1), (0.19, 1), (0.2, 2), (0.3, 2), (0.5, 3), (0.61, 4), (0.8, 5), (1.0, 5)):
        found = {group.name for group in open_groups(model, groups, progress)}
        assert found == set(["head", "layer 3", "layer 2", "layer 1", "stem"][:count])
        for name, part in parts.items():
            assert {module.training for module in part.modules()} == {name in found}
            assert {parameter.requires_grad for parameter in part.parameters()} == {name in found}
    assert model.frozen == ()


def test_parts_that_stay_for_good_stay_when_others_open():
    model = tiny_model(depth=3)
    _, groups = apply_policy(model, TransferConfig("late", num_layers=1))
    assert [group.name for group in open_groups(model, groups, 0.0)] == ["head", "layer 3"]
    assert model.frozen == (model.encoder.stem, *model.encoder.layers[:2])
    assert not model.encoder.stem.first.linear.weight.requires_grad


def test_in_eval_mode_an_opening_part_stays_in_it():
    model = tiny_model(depth=3).eval()
    _, groups = apply_policy(model, TransferConfig("gradual"))
    for progress in (0.0, 1.0):
        open_groups(model, groups, progress)
        assert not any(module.training for module in model.modules())
    waveform = 0.1 * torch.randn(1, 6400)
    assert torch.equal(model.scores(waveform), tiny_model(depth=3).scores(waveform))


def test_a_regularizer_knows_the_parts_that_open_later():
    model = tiny_model(depth=3)
    _, groups = apply_policy(model, TransferConfig("gradual", thaw=0.8))
    term, step = build_regularizer("l2_sp", model), step_of(model)
    with torch.no_grad():
        for layer in model.encoder.layers:
            layer.norm.weight += 1.0  # 16 weights each
    found = []
    for progress in (0.0, 0.2, 0.4, 0.61, 0.8):
        open_groups(model, groups, progress)
        found.append(float(term(model, step)))
    assert found == pytest.approx([0.0, 8.0, 16.0, 24.0, 24.0])


def test_an_unknown_direction_is_refused():
    with pytest.raises(ConfigError, match=r"transfer.direction: got 'sideways', allowed: down, up"):
        load_config(TransferConfig, {"direction": "sideways"}, "transfer")
