"""Which layers move under each policy, how fast, and that the others really stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from kws.errors import ConfigError
from kws.model import ModelConfig, WakeWordModel, build_model
from kws.transfer import POLICIES, TransferConfig, apply_policy, choose
from tests.support.training import tiny_model, tiny_weights

APPLIED = [policy for policy in POLICIES if policy != "auto"]


def groups_of(policy: str, num_layers: int = 2, depth: int = 4, **config: float) -> dict[str, float]:
    groups = apply_policy(tiny_model(depth=depth), TransferConfig(policy, num_layers, **config))
    return {group.name: group.rate for group in groups}


def layers(*numbers: int) -> list[str]:
    return [f"layer {number}" for number in numbers]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("head", {"head": 1.0}),
        ("early", {"head": 1.0, **dict.fromkeys(["stem", *layers(1, 2)], 0.3)}),
        ("late", {"head": 1.0, **dict.fromkeys(layers(3, 4), 0.3)}),
        ("all", {"head": 1.0, **dict.fromkeys(["stem", *layers(1, 2, 3, 4)], 0.3)}),
        ("scratch", {"head": 1.0, **dict.fromkeys(["stem", *layers(1, 2, 3, 4)], 1.0)}),
        (
            "discriminative",
            {
                "head": 1.0,
                "stem": 0.3 * 0.5**4,
                "layer 1": 0.3 * 0.5**3,
                "layer 2": 0.3 * 0.5**2,
                "layer 3": 0.3 * 0.5,
                "layer 4": 0.3,
            },
        ),
    ],
)
def test_each_policy_moves_its_layers_at_its_rates(policy: str, expected: dict[str, float]):
    found = groups_of(policy, decay=0.5)
    assert list(found)[0] == "head"
    assert found == pytest.approx(expected)


def test_more_layers_than_there_are_is_all_of_them():
    assert groups_of("early", 9, depth=2) == groups_of("all", depth=2)


def steps(model: WakeWordModel, config: TransferConfig, count: int = 3) -> None:
    """Really train: AdamW with weight decay, in train mode."""
    groups = apply_policy(model, config)
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters), "lr": 0.01 * group.rate} for group in groups], weight_decay=0.1
    )
    model.train()
    waveform = 0.1 * torch.randn(2, 6400)
    for _ in range(count):
        optimizer.zero_grad()
        logits, _ = model(waveform, torch.tensor([6400, 6400]))
        logits.square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("policy", APPLIED)
def test_frozen_weights_stay_bit_identical_and_every_other_one_moves(policy: str):
    model = tiny_model(depth=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moving = groups_of(policy)
    steps(model, TransferConfig(policy, 2))
    changed, still = set(), set()
    for name, tensor in model.state_dict().items():
        part = "head" if name.startswith("head") else "stem" if "stem" in name else "front end"
        if name.startswith("encoder.layers."):
            part = f"layer {int(name.split('.')[2]) + 1}"
        (still if torch.equal(tensor, before[name]) else changed).add((part, name))
    assert {part for part, _ in changed} == set(moving)
    assert {part for part, _ in still}.isdisjoint(moving)
    assert {name for part, name in still if part == "front end"} == {
        "encoder.frontend.mean",
        "encoder.frontend.scale",
    }


@pytest.mark.parametrize("policy", APPLIED)
def test_frozen_parts_stay_in_eval_mode_and_take_no_gradient(policy: str):
    model = tiny_model(depth=4)
    apply_policy(model, TransferConfig(policy, 2))
    moving = groups_of(policy)
    model.train()
    parts: dict[str, nn.Module] = {"head": model.head, "stem": model.encoder.stem}
    parts |= {f"layer {number}": layer for number, layer in enumerate(model.encoder.layers, start=1)}
    for name, part in parts.items():
        assert {module.training for module in part.modules()} == {name in moving}
        assert {parameter.requires_grad for parameter in part.parameters()} == {name in moving}
    model.eval()
    assert not any(module.training for module in model.modules())


def test_every_parameter_that_moves_is_in_one_group():
    for policy in APPLIED:
        model = tiny_model(depth=4)
        grouped = [
            id(p) for group in apply_policy(model, TransferConfig(policy, 2)) for p in group.parameters
        ]
        moving = [id(p) for p in model.parameters() if p.requires_grad]
        assert len(set(grouped)) == len(grouped) and set(grouped) == set(moving)


def test_another_policy_frees_what_the_last_one_froze():
    model = tiny_model()
    apply_policy(model, TransferConfig("head"))
    apply_policy(model, TransferConfig("all"))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.train().encoder.layers[0].training


def test_auto_goes_by_the_number_of_recordings_and_says_why():
    config = TransferConfig("auto", 2, auto_late_from=20)
    few, some = (choose(config, count) for count in (19, 20))
    assert few[0] == "head" and "19 recordings are fewer than 20: the borrowed layers stay" in few[1]
    assert choose(config, 0) == (
        "head",
        "no recordings are fewer than 20: the borrowed layers stay (RESULTS.md)",
    )
    assert some[0] == "late" and "20 recordings: the last 2 layers move" in some[1]
    assert [choose(TransferConfig(), count)[0] for count in (9, 10)] == ["head", "late"]
    assert choose(TransferConfig("all"), 3) == ("all", "asked for")
    with pytest.raises(ConfigError, match="must be resolved"):
        apply_policy(tiny_model(), config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"policy": "some"},
            "policy: got 'some', allowed: head, early, late, all, discriminative, scratch, auto",
        ),
        ({"num_layers": 0}, "transfer.num_layers: got 0, allowed: 1 or more"),
        ({"encoder_rate": 0.0}, "above 0, at most 1"),
        ({"decay": 1.1}, "above 0, at most 1"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        TransferConfig(**values)


def test_scratch_starts_from_random_weights_and_keeps_the_band_statistics(tmp_path: Path):
    config = ModelConfig(("tone",), weights=tiny_weights(tmp_path), depth=3)
    torch.manual_seed(5)
    borrowed = build_model(config)
    torch.manual_seed(6)
    fresh, again = build_model(config, pretrained=False), build_model(config, pretrained=False)
    pairs = list(zip(borrowed.encoder.named_parameters(), fresh.encoder.parameters(), strict=True))
    differ = [name for (name, one), other in pairs if not torch.equal(one, other)]
    assert {name for (name, one), _ in pairs if one.ndim > 1} <= set(differ)  # biases of norms are 0 in both
    assert not torch.equal(fresh.encoder.layers[0].expand.weight, again.encoder.layers[0].expand.weight)
    for name in ("mean", "scale"):
        assert torch.equal(getattr(borrowed.encoder.frontend, name), getattr(fresh.encoder.frontend, name))
    assert float(fresh.encoder.frontend.mean[0]) == -10.0
