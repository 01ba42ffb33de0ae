"""The learning rate of each group over a run."""

from __future__ import annotations

import math

import pytest
import torch

from kws.training.schedule import scheduled, warmup_then_cosine


def test_rises_to_the_peak_and_falls_to_zero_on_a_cosine():
    found = [warmup_then_cosine(step, 10, 0.2) for step in range(11)]
    assert found[:3] == [0.5, 1.0, 1.0]
    assert found[6] == pytest.approx(0.5) and found[10] == pytest.approx(0.0)
    assert found[4] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_a_part_that_opens_late_rises_as_at_the_start_and_then_follows_the_others():
    late = [warmup_then_cosine(step, 10, 0.2, opening=0.5) for step in range(11)]
    cosine = [(1 + math.cos(math.pi * (step - 2) / 8)) / 2 for step in range(11)]
    assert late[:5] == [0.0] * 5
    assert late[5] == pytest.approx(0.5)  # half of the warm-up; the cosine is at 0.69
    assert late[6:] == pytest.approx(cosine[6:])
    between = [warmup_then_cosine(step, 10, 0.4, opening=0.15) for step in range(4)]
    assert between == pytest.approx([0.0, 0.0, 1.5 / 4, 2.5 / 4])


def test_each_group_follows_its_own_opening():
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(3)]
    groups = [{"params": [p], "lr": rate} for p, rate in zip(parameters, (1.0, 0.5, 0.5), strict=True)]
    optimizer = torch.optim.AdamW(groups)
    schedule = scheduled(optimizer, 10, 0.2, [0.0, 0.3, 0.0])["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(4):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    third = (1 + math.cos(math.pi / 8)) / 2
    expected = [[0.5, 0.0, 0.25], [1.0, 0.0, 0.5], [1.0, 0.0, 0.5], [third, 0.25, third / 2]]
    assert rates == [pytest.approx(row) for row in expected]
