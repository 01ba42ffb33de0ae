"""Muon and AdamW as one optimiser: who moves what, what one step is, and that a saved state goes on alike."""

from __future__ import annotations

import copy

import torch
from torch import nn

from kws.pretraining.optimizers import Together, muon_and_adamw
from kws.training.schedule import scheduled


def model() -> nn.ModuleDict:
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(6, 8), nn.Conv1d(1, 2, 3), nn.LayerNorm(4))
    return nn.ModuleDict({"hidden": hidden, "output": nn.Linear(8, 3)})


def optimizer(module: nn.ModuleDict) -> Together:
    return muon_and_adamw(module, module["hidden"], matrix_rate=0.02, rate=1e-3, weight_decay=0.1)


def step(module: nn.Module, made: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    made.step()


def test_muon_moves_the_hidden_matrices_and_adamw_the_rest_with_decay_on_matrices_alone():
    module = model()
    muon, adamw = optimizer(module).parts
    assert [id(p) for p in muon.param_groups[0]["params"]] == [id(module["hidden"][0].weight)]
    decayed, plain = adamw.param_groups
    assert [id(p) for p in decayed["params"]] == [id(module["output"].weight)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert sum(len(group["params"]) for group in (*muon.param_groups, decayed, plain)) == len(
        list(module.parameters())
    )


def test_a_muon_step_moves_along_every_direction_alike():
    module = model()
    matrix = module["hidden"][0].weight
    before, made = matrix.detach().clone(), optimizer(module)
    step(module, made, 1)
    moved = (before * (1 - 0.02 * 0.1) - matrix.detach()) / (0.02 * (8 / 6) ** 0.5)
    singular = torch.linalg.svdvals(moved)  # five Newton-Schulz steps bring them near 1, in bfloat16
    assert 0.6 < float(singular.min()) and float(singular.max()) < 1.3


def test_a_restored_state_goes_on_bit_for_bit_and_the_schedule_reaches_every_part():
    whole, stopped = model(), model()
    made, before = optimizer(whole), optimizer(stopped)
    for seed in range(4):
        step(whole, made, seed)
    for seed in range(2):
        step(stopped, before, seed)
    after = optimizer(stopped)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    for seed in range(2, 4):
        step(stopped, after, seed)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), stopped.parameters(), strict=True))
    schedule = scheduled(after, 10, 0.2)["lr_scheduler"]["scheduler"]
    assert [group["lr"] for group in after.parts[0].param_groups] == [0.01]  # half of the warm-up
    schedule.step()
    assert [group["lr"] for part in after.parts for group in part.param_groups] == [0.02, 1e-3, 1e-3]
