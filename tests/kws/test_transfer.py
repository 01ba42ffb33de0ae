"""Which layers move under each policy, how fast, and that the others really stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from kws.data import BatchConfig
from kws.errors import ConfigError
from kws.model import ModelConfig, WakeWordModel, build_model
from kws.training.config import TrainConfig
from kws.transfer import TransferConfig, apply_policy, available_policies, open_groups
from kws.transfer.base import ParameterGroup, Policy
from tests.support.training import tiny_model, tiny_weights

APPLIED = available_policies()
MATRICES = ("expand.weight", "project.weight")
"""What moves of a layer under ``adapters``."""


def apply(model: WakeWordModel, config: TransferConfig) -> tuple[Policy, list[ParameterGroup]]:
    """Apply a policy; the data pull most at the stem, then at the odd layers, the lower the more."""
    signals = [1.0] + [0.5 / n if n % 2 else 0.0 for n in range(1, len(model.encoder.layers) + 1)]
    return apply_policy(model, config, lambda: signals)


def groups_of(policy: str, num_layers: int = 2, depth: int = 4, **config: float) -> dict[str, float]:
    _, groups = apply(tiny_model(depth=depth), TransferConfig(policy, num_layers, **config))
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
        ("gradual", {"head": 1.0, **dict.fromkeys(["stem", *layers(1, 2, 3, 4)], 0.3)}),
        ("surgical", {"head": 1.0, "stem": 0.3, "layer 1": 0.3}),
        ("adapters", {"head": 1.0, **dict.fromkeys(layers(1, 2, 3, 4), 1.0)}),
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


@pytest.mark.parametrize(
    ("num_layers", "early", "late", "surgical"),
    [
        (1, ["stem", *layers(1)], layers(4), ["stem"]),
        (2, ["stem", *layers(1, 2)], layers(3, 4), ["stem", *layers(1)]),
        (3, ["stem", *layers(1, 2, 3)], layers(2, 3, 4), ["stem", *layers(1, 3)]),
        (4, ["stem", *layers(1, 2, 3, 4)], layers(1, 2, 3, 4), ["stem", *layers(1, 2, 3)]),
        (5, *[["stem", *layers(1, 2, 3, 4)]] * 3),
        (9, *[["stem", *layers(1, 2, 3, 4)]] * 3),
    ],
)
def test_so_many_layers_move_as_are_asked_for(
    num_layers: int, early: list[str], late: list[str], surgical: list[str]
):
    for policy, parts in (("early", early), ("late", late), ("surgical", surgical)):
        assert groups_of(policy, num_layers, depth=4) == {"head": 1.0, **dict.fromkeys(parts, 0.3)}


def steps(model: WakeWordModel, config: TransferConfig, count: int = 3) -> None:
    """Really train: AdamW with weight decay, in train mode; gradual unfreezing is long over."""
    policy, groups = apply(model, config)
    open_groups(model, groups, 0.9)
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
    policy.finish(model)


@pytest.mark.parametrize("policy", APPLIED)
def test_frozen_weights_stay_bit_identical_and_every_other_one_moves(policy: str):
    model = tiny_model(depth=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moving = groups_of(policy)
    steps(model, TransferConfig(policy, 2))
    assert model.state_dict().keys() == before.keys()
    for name, tensor in model.state_dict().items():
        part = name.split(".")[1 if name.startswith("encoder") else 0]  # head, stem, frontend or layers
        if part == "layers":
            part = f"layer {int(name.split('.')[2]) + 1}"
        moves = part in moving and (policy != "adapters" or part == "head" or name.endswith(MATRICES))
        assert torch.equal(tensor, before[name]) is not moves, name


@pytest.mark.parametrize("policy", APPLIED)
def test_frozen_parts_stay_in_eval_mode_and_take_no_gradient(policy: str):
    model = tiny_model(depth=4)
    apply(model, TransferConfig(policy, 2))
    moving = groups_of(policy)
    model.train()
    parts: dict[str, nn.Module] = {"head": model.head, "stem": model.encoder.stem}
    parts |= {f"layer {number}": layer for number, layer in enumerate(model.encoder.layers, start=1)}
    for name, part in parts.items():
        assert {module.training for module in part.modules()} == {name in moving}
        beside = {False} if policy == "adapters" and name in layers(1, 2, 3, 4) else set()  # the weights
        assert {parameter.requires_grad for parameter in part.parameters()} == {name in moving} | beside
    model.eval()
    assert not any(module.training for module in model.modules())


def test_every_parameter_that_moves_is_in_one_group():
    for policy in APPLIED:
        model = tiny_model(depth=4)
        grouped = [id(p) for group in apply(model, TransferConfig(policy, 2))[1] for p in group.parameters]
        moving = [id(p) for p in model.parameters() if p.requires_grad]
        assert len(set(grouped)) == len(grouped) and set(grouped) == set(moving)


def test_another_policy_frees_what_the_last_one_froze():
    model = tiny_model()
    apply_policy(model, TransferConfig("head"))
    apply_policy(model, TransferConfig("all"))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.train().encoder.layers[0].training


def test_auto_goes_by_the_number_of_recordings_and_says_why():
    few, some, none = (TrainConfig().resolved(count) for count in (4, 5, 0))
    batch = BatchConfig(num_positives=12, num_negatives=28)
    assert few[0] == TrainConfig(transfer=TransferConfig("head"), batch=batch, epochs=4)
    assert few[1].startswith("4 recordings are fewer than 5 (docs/results/policies.md")
    assert some[0] == TrainConfig(
        transfer=TransferConfig("all"), batch=batch, regularizers={"feature_matching": 1.0}, epochs=4
    )
    assert some[1].startswith("5 recordings are at least 5 (docs/results/policies.md")
    assert none == (few[0], few[1].replace("4", "no", 1))
    asked = TrainConfig(transfer=TransferConfig("all"))
    batch = BatchConfig(num_positives=24, num_negatives=56)
    assert asked.resolved(300) == (replace(asked, batch=batch, epochs=6), "asked for")
    with pytest.raises(ConfigError, match="must be resolved"):
        apply_policy(tiny_model(), TransferConfig("auto"))


def test_auto_brings_its_terms_where_none_are_asked_for(tmp_path: Path):
    table = tmp_path / "auto.yaml"
    table.write_text(
        "{source: a study, policies: [{recordings: 0, policy: all, regularizers: {feature_matching: 2}}]}"
    )
    transfer = TransferConfig(auto_table=table)
    found, why = TrainConfig(transfer=transfer).resolved(5)
    assert (found.transfer.policy, found.regularizers, why) == ("all", {"feature_matching": 2.0}, "a study")
    own = {"l2_sp": 0.5}
    assert TrainConfig(transfer=transfer, regularizers=own).resolved(5)[0].regularizers == own
    named = replace(transfer, policy="all")
    assert TrainConfig(transfer=named).resolved(5)[0].regularizers == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_layers": 0}, "transfer.num_layers: got 0, allowed: 1 or more"),
        ({"adapter_rank": 0}, "transfer.adapter_rank: got 0, allowed: 1 or more"),
        ({"encoder_rate": 0.0}, "transfer.encoder_rate: got 0.0, allowed: above 0, at most 1"),
        ({"decay": 1.1}, "transfer.decay: got 1.1, allowed: above 0, at most 1"),
        ({"adapter_rate": 2.0}, "transfer.adapter_rate: got 2.0, allowed: above 0, at most 1"),
        ({"thaw": 1.0}, "transfer.thaw: got 1.0, allowed: above 0, below 1"),
        ({"adapter_alpha": 0.0}, "transfer.adapter_alpha: got 0.0, allowed: above 0"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        TransferConfig(**values)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ConfigError, match="policy: got 'some', allowed: head, early, late, .*scratch, auto"):
        TrainConfig(transfer=TransferConfig("some"))


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
