"""Low-rank adapters: nothing at first, little that moves, and nothing that is left of their form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from kws.encoders.layers import CausalConv
from kws.errors import ConfigError
from kws.heads import build_head
from kws.model import WakeWordModel
from kws.transfer import TransferConfig, apply_policy
from kws.transfer.adapters import LowRank
from tests.support.encoders import tiny_encoder, voice
from tests.support.training import tiny_model

CONFIG = TransferConfig("adapters", adapter_rank=3, adapter_alpha=6.0)
MATRICES = {
    "embedded": ["expand.weight", "project.weight"],
    "wav2vec2_base": [
        *(f"attention.{name}_proj.weight" for name in ("k", "v", "q", "out")),
        *(f"feed_forward.{name}_dense.weight" for name in ("intermediate", "output")),
    ],
    "wavlm_base": [
        "attention.attention.in_proj_weight",
        "attention.attention.out_proj.weight",
        "attention.gru_rel_pos_linear.weight",
        *(f"feed_forward.{name}_dense.weight" for name in ("intermediate", "output")),
    ],
    "whisper_base": [
        *(f"self_attn.{name}_proj.weight" for name in ("q", "k", "v", "out")),
        *("fc1.weight", "fc2.weight"),
    ],
    "emformer_rnnt_base_librispeech": [
        *(f"attention.{name}.weight" for name in ("emb_to_key_value", "emb_to_query", "out_proj")),
        *("pos_ff.1.weight", "pos_ff.4.weight"),
    ],
}
"""Kind of encoder -> the weights of a layer that get an adapter."""
KINDS = list(MATRICES)


def model_of(kind: str) -> WakeWordModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        encoder = tiny_encoder(kind)
        return WakeWordModel(encoder, build_head("conv", encoder.info.dimension, 1), ("tone",)).eval()


def weights(model: WakeWordModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def logits_of(model: WakeWordModel) -> torch.Tensor:
    with torch.no_grad():
        return model(voice(19_200)[None], torch.tensor([19_200]))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_output_is_that_of_the_source_and_moves_with_every_adapter(kind: str):
    model = model_of(kind)
    before = logits_of(model)
    policy, _ = apply_policy(model, CONFIG)
    assert torch.equal(logits_of(model), before)
    model(voice(19_200)[None], torch.tensor([19_200]))[0].square().sum().backward()
    for name, parameter in model.encoder.named_parameters():
        if parameter.requires_grad:  # where B is 0, A has no gradient yet
            reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert reached is name.endswith(".b"), name
    policy.finish(model)
    assert torch.equal(logits_of(model), before)


@pytest.mark.parametrize("kind", KINDS)
def test_each_matrix_of_the_layers_gets_an_adapter_and_nothing_else_does(kind: str):
    model, plain = model_of(kind), model_of(kind).state_dict()
    _, groups = apply_policy(model, CONFIG)
    assert [group.name for group in groups] == ["head", "layer 1", "layer 2", "layer 3"]
    expected = {f"encoder.layers.{layer}.{name}" for layer in range(3) for name in MATRICES[kind]}
    two_dimensional = {
        name
        for name, tensor in plain.items()
        if name.startswith("encoder.layers.") and tensor.ndim == 2 and "rel_attn_embed" not in name
    }
    assert expected == two_dimensional  # the list above misses none
    adapters = {name for name, module in model.named_modules() if isinstance(module, LowRank)}
    found = {name.replace("parametrizations.", "").removesuffix(".0") for name in adapters}
    assert found == expected
    size = sum(min(3, *plain[name].shape) * sum(plain[name].shape) for name in expected)
    assert sum(p.numel() for group in groups[1:] for p in group.parameters) == size


@pytest.mark.parametrize("kind", KINDS)
def test_merged_weights_are_w_plus_alpha_over_rank_times_b_a_in_the_form_of_before(kind: str):
    model = model_of(kind)
    before, forms = weights(model), {name: type(module) for name, module in model.named_modules()}
    policy, _ = apply_policy(model, CONFIG)
    for module in model.modules():
        if isinstance(module, LowRank):
            nn.init.normal_(module.b, std=0.1)
    expected = {name: tensor.double().numpy() for name, tensor in before.items()}
    for name, tensor in model.state_dict().items():
        if name.endswith(".0.b"):
            a, b = model.state_dict()[f"{name[:-1]}a"].double().numpy(), tensor.double().numpy()
            expected[name.replace("parametrizations.", "").removesuffix(".0.b")] += 6.0 / 3 * b @ a
    unmerged = logits_of(model)
    policy.finish(model)
    found = model.state_dict()
    assert found.keys() == before.keys()
    assert {name: type(module) for name, module in model.named_modules()} == forms
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].numpy(), values, rtol=0, atol=1e-6, err_msg=name)
    changed = {name for name in found if not torch.equal(found[name], before[name])}
    assert changed == {f"encoder.layers.{n}.{name}" for n in range(3) for name in MATRICES[kind]}
    torch.testing.assert_close(logits_of(model), unmerged, rtol=0, atol=1e-5)
    assert not torch.allclose(unmerged, logits_of(model_of(kind)), atol=1e-3)
    plain = model_of(kind)
    plain.load_state_dict(found)
    assert torch.equal(logits_of(plain), logits_of(model))


def test_what_is_learnt_has_the_rank_asked_for_and_the_weights_below_stay():
    model = tiny_model()
    before = weights(model)
    policy, groups = apply_policy(model, CONFIG)
    optimizer = torch.optim.AdamW([p for group in groups for p in group.parameters], lr=0.05)
    model.train()
    for step in range(5):
        optimizer.zero_grad()
        logits, _ = model(voice(12_800, step)[None], torch.tensor([12_800]))
        logits.square().mean().backward()
        optimizer.step()
    matrices = ("expand", "project")
    for layer in model.encoder.layers:
        for name in matrices:
            assert not layer.get_parameter(f"{name}.parametrizations.weight.original").requires_grad
    originals = {
        name.replace("parametrizations.", "").removesuffix(".original"): tensor
        for name, tensor in model.state_dict().items()
        if name.endswith(".original")
    }
    assert len(originals) == 6 and all(torch.equal(t, before[name]) for name, t in originals.items())
    policy.finish(model)
    for name, tensor in model.state_dict().items():
        if name in originals:
            learnt = (tensor - before[name]).double().numpy()
            values = np.linalg.svd(learnt, compute_uv=False)
            assert values[2] > 1e-3 and values[3] < 1e-6, name
        elif not name.startswith("head."):
            assert torch.equal(tensor, before[name]), name


def test_a_rank_above_what_a_matrix_allows_is_cut_and_its_factor_stays():
    low_rank = LowRank(torch.zeros(4, 6), rank=16, alpha=8.0)
    assert low_rank.a.shape == (4, 6) and low_rank.b.shape == (4, 4) and low_rank.scale == 0.5


def test_their_rate_is_their_own():
    _, groups = apply_policy(tiny_model(), TransferConfig("adapters", encoder_rate=0.1, adapter_rate=0.7))
    assert [group.rate for group in groups] == [1.0, 0.7, 0.7, 0.7]


def test_layers_without_a_matrix_are_refused():
    model = tiny_model()
    model.encoder.layers = nn.ModuleList([CausalConv(16, 16, 3)])
    with pytest.raises(
        ConfigError, match="got 'adapters', but no layer of encoder 'embedded' holds a linear layer; take"
    ):
        apply_policy(model, CONFIG)
