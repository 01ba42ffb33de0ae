"""Maximum mean discrepancy beside kernels summed pair by pair."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kws.errors import ConfigError
from kws.regularizers import build_regularizer, need_domains
from kws.regularizers.domains import frames_of_domains
from kws.regularizers.mmd import multi_kernel_mmd
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import batch_of, step_of
from tests.support.training import tiny_model


def by_hand(source: Tensor, target: Tensor) -> float:
    """Mean over five widths of the three means of kernels, one pair after the other."""
    rows = [*source.tolist(), *target.tolist()]
    n, m = len(source), len(target)

    def distance(i: int, j: int) -> float:
        return sum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True))

    width = sum(distance(i, j) for i in range(n + m) for j in range(n + m)) / ((n + m) * (n + m - 1))
    total = 0.0
    for share in (0.25, 0.5, 1, 2, 4):
        kernel = [[math.exp(-distance(i, j) / (share * width)) for j in range(n + m)] for i in range(n + m)]
        within = sum(kernel[i][j] for i in range(n) for j in range(n)) / n**2
        beyond = sum(kernel[i][j] for i in range(n, n + m) for j in range(n, n + m)) / m**2
        across = sum(kernel[i][j] for i in range(n) for j in range(n, n + m)) / (n * m)
        total += within + beyond - 2 * across
    return total / 5


def test_is_the_sum_over_pairs_and_widths():
    generator = torch.Generator().manual_seed(1)
    source = torch.randn(5, 3, generator=generator)
    target = 0.5 + 2 * torch.randn(7, 3, generator=generator)
    assert multi_kernel_mmd(source, target).item() == pytest.approx(by_hand(source, target), rel=1e-4)


def test_is_zero_for_equal_samples_in_any_order():
    sample = torch.randn(9, 4)
    assert abs(multi_kernel_mmd(sample, sample.flip(0)).item()) < 1e-6
    still = torch.ones(3, 4)
    assert multi_kernel_mmd(still, still).item() == 0.0


def test_grows_with_the_distance_and_a_step_down_its_gradient_brings_the_samples_near():
    source = torch.randn(20, 4)
    values = [multi_kernel_mmd(source, source + shift).item() for shift in (0.1, 0.5, 2.0)]
    assert values == sorted(values) and values[0] > 0 and values[2] < 2
    moving = source.clone().requires_grad_(True)
    multi_kernel_mmd(moving, source + 2.0).backward()
    assert (moving.grad.mean(dim=0) < 0).all()  # down the gradient is towards the target, which lies above


def test_compares_the_frames_of_both_domains_and_not_padding():
    model = tiny_model(depth=2).eval()
    apply_policy(model, TransferConfig("all"))
    step = step_of(model, batch_of()._replace(lengths=torch.tensor([12_800, 6400, 12_800, 1280])))
    source, target = frames_of_domains(model, step)
    torch.testing.assert_close(source, torch.cat([step.features[1, :10], step.features[3, :2]]))
    assert target.shape == (25, source.shape[1])
    term = build_regularizer("mmd", model)
    assert term(model, step).item() == pytest.approx(by_hand(source, target), rel=1e-3)
    few = [len(frames) for frames in frames_of_domains(model, step, most=8)]
    assert few == [6, 7]  # every second of 12, every fourth of 25


def test_without_a_row_of_the_source_domain_there_is_nothing_to_compare():
    model = tiny_model(depth=2)
    apply_policy(model, TransferConfig("all"))
    batch = batch_of()
    none = batch._replace(domains=batch.domains._replace(source=torch.zeros(4, dtype=torch.bool)))
    assert build_regularizer("mmd", model)(model, step_of(model, none)).item() == 0.0


@pytest.mark.parametrize("name", ["dann", "mmd"])
def test_needs_layers_that_move_and_audio_of_two_domains(name: str):
    model = tiny_model(depth=2)
    apply_policy(model, TransferConfig("head"))
    with pytest.raises(ConfigError, match=f"train.regularizers.{name}: no borrowed layer moves"):
        build_regularizer(name, model)
    with pytest.raises(
        ConfigError, match=f"regularizers.{name}: compares .* no synthetic ones; add `num_synth"
    ):
        need_domains(["l2_sp", name], has_two=False)
    assert need_domains([name]) and need_domains([name], has_two=True) and not need_domains(["l2_sp"], False)
