"""Domain-adversarial training beside the sign and schedule of the paper and a classifier by hand."""

from __future__ import annotations

import math

import pytest
import torch

from kws.regularizers import build_regularizer
from kws.regularizers.dann import DANN, ReverseGradient, reversal
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import batch_of, step_of
from tests.support.training import tiny_model


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_the_gradient_is_turned_round_and_the_value_is_not(strength: float):
    features = torch.tensor([1.0, -2.0], requires_grad=True)
    given = ReverseGradient.apply(features, strength)
    assert torch.equal(given, features)
    (given * torch.tensor([3.0, 5.0])).sum().backward()
    torch.testing.assert_close(features.grad, torch.tensor([-3.0 * strength, -5.0 * strength]))


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 0.0), (0.1, 0.46212), (0.5, 0.98661), (1.0, 0.99991)]
)
def test_the_schedule_is_the_papers(progress: float, expected: float):
    # 2 / (1 + e^(-10 p)) - 1 is tanh(5 p)
    assert reversal(progress) == pytest.approx(expected, abs=1e-5)
    assert reversal(progress) == pytest.approx(math.tanh(5 * progress))


def dann_of(policy: str = "all") -> tuple:
    model = tiny_model(depth=2).eval()
    apply_policy(model, TransferConfig(policy))
    term = build_regularizer("dann", model)
    assert isinstance(term, DANN)
    return model, term


def test_is_the_mean_of_both_domains_cross_entropies_over_valid_frames():
    model, term = dann_of()
    step = step_of(model, batch_of()._replace(lengths=torch.tensor([12_800, 6400, 12_800, 1280])))
    domains = step.batch.domains
    costs: list[list[float]] = [[], []]
    for row, count in ((1, 10), (3, 2)):  # source rows and their frames
        for frame in step.features[row, :count]:
            costs[0].append(-math.log(1 - torch.sigmoid(term.classifier(frame)).item()))
    for row, count in enumerate((10, 10, 5)):
        heard, _ = model.encoder(domains.waveform[row : row + 1], torch.tensor([6400]))
        for frame in heard[0, :count]:
            costs[1].append(-math.log(torch.sigmoid(term.classifier(frame)).item()))
    expected = sum(sum(part) / len(part) for part in costs) / 2
    assert [len(part) for part in costs] == [12, 25]
    assert float(term(model, step).detach()) == pytest.approx(expected, rel=1e-4)


def test_the_layers_move_against_the_classifier_and_the_classifier_as_ever():
    model, term = dann_of()
    gradients = []
    for progress in (0.0, 1.0):
        model.zero_grad()
        term.zero_grad()
        term(model, step_of(model, progress=progress)).backward()
        moved = model.encoder.layers[0].expand.weight.grad.clone()
        gradients.append((moved, term.classifier[1].weight.grad.clone()))
    assert not gradients[0][0].any() and gradients[1][0].abs().sum() > 0
    torch.testing.assert_close(gradients[0][1], gradients[1][1])
    before = term(model, step_of(model)).item()
    with torch.no_grad():
        model.encoder.layers[0].expand.weight -= 1e-2 * gradients[1][0] / gradients[1][0].norm()
    assert term(model, step_of(model)).item() > before  # a step down the gradient makes telling apart harder


def test_without_a_row_of_the_source_domain_the_target_alone_is_judged():
    model, term = dann_of()
    batch = batch_of()
    alone = batch._replace(domains=batch.domains._replace(source=torch.zeros(4, dtype=torch.bool)))
    assert torch.isfinite(term(model, step_of(model, alone)))
