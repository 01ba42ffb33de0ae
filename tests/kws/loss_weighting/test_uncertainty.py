"""Uncertainty weights beside what the paper's formula gives for losses that do not change."""

from __future__ import annotations

import math

import torch

from kws.loss_weighting import build_loss_weighting


def test_weights_settle_at_one_over_twice_the_loss():
    """d/ds (exp(-s) L + s / 2) = 0 at exp(-s) = 1 / (2 L), where the whole is (1 + log(2 L)) / 2 for each."""
    weighting = build_loss_weighting("uncertainty", {"keyword": 1.0, "phones": 0.3})
    losses = {"keyword": torch.tensor(0.2), "phones": torch.tensor(1.5)}
    optimizer = torch.optim.LBFGS(weighting.parameters(), max_iter=100, tolerance_grad=1e-9)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = weighting(losses, ())
        total.backward()
        return total

    optimizer.step(closure)
    weights = torch.exp(-weighting.log_variances).detach()
    torch.testing.assert_close(weights, torch.tensor([2.5, 1 / 3]), atol=1e-4, rtol=0)
    expected = (1 + math.log(0.4)) / 2 + (1 + math.log(3.0)) / 2
    assert abs(float(weighting(losses, ()).detach()) - expected) < 1e-5


def test_the_gradient_of_a_log_variance_is_half_less_the_weighted_loss():
    weighting = build_loss_weighting("uncertainty", {"keyword": 1.0, "l2_sp": 0.01})
    weighting({"keyword": torch.tensor(0.7), "l2_sp": torch.tensor(30.0)}, ()).backward()
    torch.testing.assert_close(weighting.log_variances.grad, torch.tensor([0.5 - 0.7, 0.5 - 0.3]))
