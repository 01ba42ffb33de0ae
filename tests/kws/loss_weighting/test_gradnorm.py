"""GradNorm on two losses of known gradients, beside weights worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from kws.errors import ConfigError
from kws.loss_weighting import build_loss_weighting
from kws.loss_weighting.gradnorm import GradNormWeighting

WEIGHTS = {"keyword": 1.0, "phones": 1.0}


def losses_of(
    shared: nn.Parameter, values: tuple[float, float], norms: tuple[float, float]
) -> dict[str, Tensor]:
    """Return losses of these values whose gradients at (2,) ``shared`` have these norms."""
    moved = (shared - shared.detach()).sum() / math.sqrt(2)
    return {name: value + norm * moved for name, value, norm in zip(WEIGHTS, values, norms, strict=True)}


def weighting_of(**options: float) -> GradNormWeighting:
    weighting = build_loss_weighting("gradnorm", WEIGHTS, options)
    assert isinstance(weighting, GradNormWeighting)
    return weighting


def test_one_step_by_hand():
    """Norms 3 and 1, mean 2: log-weights move by 0.1 * 3 / 2 down and 0.1 * 1 / 2 up, then sum to 2."""
    shared, weighting = nn.Parameter(torch.zeros(2)), weighting_of(alpha=1.0, rate=0.1)
    total = weighting(losses_of(shared, (0.5, 4.0), (3.0, 1.0)), [shared])
    assert float(total.detach()) == pytest.approx(4.5), "this step still has the weights before it"
    down, up = math.exp(-0.15), math.exp(0.05)
    expected = torch.tensor([down, up]) * 2 / (down + up)
    torch.testing.assert_close(weighting.multipliers, expected)
    total.backward()
    torch.testing.assert_close(shared.grad.norm(), torch.tensor(4.0))
    total = weighting(losses_of(shared, (0.5, 4.0), (3.0, 1.0)), [shared])
    assert float(total.detach()) == pytest.approx(float(expected @ torch.tensor([0.5, 4.0])))


def settled(values: tuple[float, float], norms: tuple[float, float], **options: float) -> Tensor:
    """Return the weights after the losses fell from 1 to ``values`` and many steps were made there."""
    shared, weighting = nn.Parameter(torch.zeros(2)), weighting_of(**options)
    weighting(losses_of(shared, (1.0, 1.0), norms), [shared])
    for _ in range(2000):
        weighting(losses_of(shared, values, norms), [shared])
    assert float(weighting.multipliers.sum()) == pytest.approx(2.0)
    return weighting.multipliers


def test_losses_that_fall_alike_come_to_pull_alike():
    """4 w = 1 (2 - w) at w = 0.4."""
    found = settled((0.7, 0.7), (4.0, 1.0), rate=0.002)
    torch.testing.assert_close(found, torch.tensor([0.4, 1.6]), atol=0.01, rtol=0)


def test_a_loss_that_fell_less_comes_to_pull_harder():
    """Shares 0.5 and 1.5 of their mean: pulls as 0.5 ** 2 to 1.5 ** 2, 9 * 4 w = 2 - w at w = 2 / 37."""
    found = settled((0.3, 0.9), (4.0, 1.0), alpha=2.0, rate=0.004)
    torch.testing.assert_close(found, torch.tensor([2 / 37, 72 / 37]), atol=0.002, rtol=0)


def test_losses_of_very_different_scale_find_their_weights():
    """1000 w = 1 (2 - w)."""
    found = settled((0.7, 0.7), (1000.0, 1.0), rate=0.01)
    torch.testing.assert_close(found, torch.tensor([2 / 1001, 2 - 2 / 1001]), atol=1e-4, rtol=0)


def test_a_loss_that_begins_at_0_or_does_not_reach_the_shared_layers_gives_no_nan():
    shared, weighting = nn.Parameter(torch.zeros(2)), weighting_of(rate=0.1)
    apart = nn.Parameter(torch.ones(1))
    for _ in range(3):
        losses = {**losses_of(shared, (1.0, 0.0), (1.0, 1.0)), "phones": 0.0 * apart.sum()}
        weighting(losses, [shared]).backward()
    assert torch.isfinite(weighting.multipliers).all() and float(
        weighting.multipliers.sum()
    ) == pytest.approx(2)


def test_its_state_is_kept():
    shared, one, other = nn.Parameter(torch.zeros(2)), weighting_of(), weighting_of()
    for values in ((1.0, 2.0), (0.5, 1.9)):
        one(losses_of(shared, values, (3.0, 1.0)), [shared])
    other.load_state_dict(one.state_dict())
    for weighting in (one, other):
        weighting(losses_of(shared, (0.4, 1.8), (3.0, 1.0)), [shared])
    assert torch.equal(one.multipliers, other.multipliers)
    assert other.first.tolist() == [1.0, 2.0]


def test_without_a_borrowed_layer_that_moves_there_is_nothing_to_balance():
    with pytest.raises(ConfigError, match="loss_weighting gradnorm: no borrowed layer moves.*policy=late"):
        weighting_of()(losses_of(nn.Parameter(torch.zeros(2)), (1.0, 1.0), (1.0, 1.0)), ())
