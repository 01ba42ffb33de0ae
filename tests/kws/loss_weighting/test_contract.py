"""What every loss weighting promises: a scalar that all losses move, helpful errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kws.errors import ConfigError
from kws.loss_weighting import available_loss_weightings, build_loss_weighting
from kws.training.config import TrainConfig

WEIGHTS = {"keyword": 1.0, "phones": 0.25}


@pytest.mark.parametrize("name", available_loss_weightings())
def test_begins_as_the_weighted_sum_and_every_loss_moves_the_model(name: str):
    shared = nn.Parameter(torch.tensor([1.0, -2.0]))
    losses = {"keyword": shared[0].square(), "phones": 3.0 * shared[1].square()}
    weighting = build_loss_weighting(name, WEIGHTS)
    total = weighting(losses, [shared])
    total.backward()
    # with s / 2 of both losses, s = -log(weight), for the loss weighting that learns a variance
    beside = torch.tensor(0.25).log() / -2 if name == "uncertainty" else 0.0
    torch.testing.assert_close(total.detach(), torch.tensor(1.0 + 0.25 * 12.0) + beside)
    torch.testing.assert_close(shared.grad, torch.tensor([2.0, -0.25 * 12.0]))


@pytest.mark.parametrize("name", available_loss_weightings())
def test_the_keyword_alone_is_never_weighted_away(name: str):
    shared = nn.Parameter(torch.tensor([2.0]))
    weighting = build_loss_weighting(name, {"keyword": 1.0})
    weighting({"keyword": shared.sum()}, [shared]).backward()
    torch.testing.assert_close(shared.grad, torch.tensor([1.0]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("even", {}, "train.loss_weighting: got 'even', allowed: fixed, gradnorm, uncertainty"),
        ("gradnorm", {"alfa": 1}, "train.loss_weighting_options: unknown key `alfa`; did you mean `alpha`"),
        ("gradnorm", {"alpha": -1}, "train.loss_weighting_options.alpha: got -1.0, allowed: 0 or more"),
        ("gradnorm", {"rate": 1}, "train.loss_weighting_options.rate: got 1.0, allowed: above 0, below 1"),
        ("fixed", {"alpha": 1}, "train.loss_weighting_options: unknown key `alpha`; known keys: none"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(loss_weighting=name, loss_weighting_options=options)
