"""The Fisher information of a softmax over a linear layer, worked by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from kws.regularizers.fisher import diagonal_fisher


@pytest.fixture
def layer() -> nn.Linear:
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -1.0], [0.0, 0.3], [-0.2, 0.8]]))
        layer.bias.copy_(torch.tensor([0.1, -0.4, 0.0]))
    return layer


INPUTS = torch.tensor([[1.0, 2.0], [-0.5, 0.25]])


def test_of_given_labels_it_is_the_mean_of_squared_errors_times_squared_inputs(layer: nn.Linear):
    labels = [2, 0]
    values = (layer(x).log_softmax(0)[label] for x, label in zip(INPUTS, labels, strict=True))
    weight, bias = diagonal_fisher(values, list(layer.parameters()))
    expected_weight, expected_bias = torch.zeros(3, 2), torch.zeros(3)
    for x, label in zip(INPUTS.tolist(), labels, strict=True):
        logits = [sum(w * v for w, v in zip(row, x, strict=True)) for row in layer.weight.tolist()]
        exps = [2.718281828459045 ** (z + b) for z, b in zip(logits, layer.bias.tolist(), strict=True)]
        for k in range(3):
            error = (k == label) - exps[k] / sum(exps)  # d log p(label) / d logit k
            expected_bias[k] += error**2 / 2
            for i in range(2):
                expected_weight[k, i] += (error * x[i]) ** 2 / 2
    torch.testing.assert_close(weight, expected_weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(bias, expected_bias, rtol=1e-5, atol=1e-7)


def test_of_drawn_labels_it_tends_to_the_variance_of_the_label(layer: nn.Linear):
    x, count = INPUTS[1], 600

    def drawn() -> Iterator[Tensor]:
        for _ in range(count):
            told = layer(x).log_softmax(0)
            yield told[torch.multinomial(told.detach().exp(), 1)[0]]

    weight, bias = diagonal_fisher(drawn(), list(layer.parameters()))
    p = torch.softmax(layer(x), 0).detach()
    expected = p * (1 - p)  # E[(1{y = k} - p_k)^2]
    deviation = (1 - 2 * p).abs() * expected.sqrt() / count**0.5  # of the mean of that square
    assert ((bias - expected).abs() < 4 * deviation + 1e-6).all() and float(expected.min()) > 0.15
    torch.testing.assert_close(weight, bias[:, None] * x.square(), rtol=1e-4, atol=0)


def test_a_parameter_that_nothing_depends_on_has_none_and_no_examples_are_refused(layer: nn.Linear):
    idle = torch.ones(4, requires_grad=True)
    _, _, found = diagonal_fisher([layer(INPUTS[0]).sum()], [*layer.parameters(), idle])
    assert torch.equal(found, torch.zeros(4))
    with pytest.raises(ValueError, match="no log-likelihoods: the Fisher information needs at least one"):
        diagonal_fisher([], list(layer.parameters()))
