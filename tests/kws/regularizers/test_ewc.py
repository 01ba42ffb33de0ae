"""EWC: phones are drawn as the CTC output says, their Fisher information weighs the distance, by hand."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict

import pytest
import torch

from kws.regularizers import build_regularizer
from kws.regularizers.ewc import NUM_BATCHES, SEED, drawn_log_likelihood
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import resources_of, step_of
from tests.support.training import tiny_model


def sequences(logits: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    """Return the probability of every phone sequence, summed over all paths one by one."""
    time, outputs = logits.shape
    found: dict[tuple[int, ...], torch.Tensor] = defaultdict(lambda: torch.zeros(()))
    for path in itertools.product(range(outputs), repeat=time):
        merged = [one for one, _ in itertools.groupby(path)]
        chance = math.prod(logits[t].softmax(0)[output] for t, output in enumerate(path))
        found[tuple(output for output in merged if output)] += chance
    return dict(found)


def test_phone_sequences_are_drawn_as_often_as_they_are_likely_and_told_how_likely_they_are():
    logits = torch.tensor([[1.0, 0.2, -0.3], [0.4, 0.9, 0.1], [0.2, -0.5, 1.1]])
    chances = {float(chance): name for name, chance in sequences(logits).items()}
    assert sum(chances) == pytest.approx(1.0)
    generator, count = torch.Generator().manual_seed(1), 1500
    drawn: Counter[tuple[int, ...]] = Counter()
    for _ in range(count):
        chance = math.exp(float(drawn_log_likelihood(logits, generator)))
        nearest = min(chances, key=lambda known: abs(known - chance))
        assert chance == pytest.approx(nearest, rel=1e-4)
        drawn[chances[nearest]] += 1
    for chance, name in chances.items():
        deviation = math.sqrt(count * chance * (1 - chance))
        assert abs(drawn[name] - count * chance) < 4 * deviation, name


def test_the_gradient_is_that_of_the_likelihood_summed_over_all_paths():
    logits = torch.randn(3, 3, requires_grad=True)
    value = drawn_log_likelihood(logits, torch.Generator().manual_seed(2))
    (found,) = torch.autograd.grad(value, logits)
    by_value = {round(float(chance.log()), 4): chance for chance in sequences(logits).values()}
    (expected,) = torch.autograd.grad(by_value[round(float(value), 4)].log(), logits)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_the_fisher_information_is_the_recognizers_own_per_frame_of_the_negatives():
    model = tiny_model(depth=2)
    apply_policy(model, TransferConfig("late", num_layers=1))
    resources = resources_of(model)
    term = build_regularizer("ewc", model, resources)
    recognizer, generator = resources.recognizer, torch.Generator().manual_seed(SEED)
    weight = recognizer.encoder.layers[1].project.weight
    total, rows = torch.zeros_like(weight), 0
    for step in range(NUM_BATCHES):
        batch = resources.batch(step)
        for row in (1, 3):  # the others hold the keyword
            frontend = recognizer.encoder.frontend
            log_mel, _ = frontend(batch.waveform[row : row + 1], frontend.initial_state(1))
            value = drawn_log_likelihood(recognizer(log_mel)[0][0], generator)
            total += torch.autograd.grad(value, weight)[0].square() / 20  # frames
            rows += 1
    found = term.importance("layers.1.project.weight")
    assert float(found.max()) > 1e-6
    torch.testing.assert_close(found, total / rows, rtol=1e-3, atol=1e-9)
    with pytest.raises(AttributeError):
        term.importance("layers.0.project.weight")  # stays: has no weight


def test_is_half_the_squared_distance_times_the_fisher_information_and_pulls_by_it():
    model = tiny_model(depth=3)
    apply_policy(model, TransferConfig("late", num_layers=1))
    term = build_regularizer("ewc", model, resources_of(model))
    moving = model.encoder.layers[2].expand.weight
    fisher = term.importance("layers.2.expand.weight")
    fisher.zero_()
    fisher[0, :3] = torch.tensor([2.0, 0.5, 7.0])
    with torch.no_grad():
        moving[0, :2] += torch.tensor([3.0, -4.0])
        moving[1, 0] += 10.0  # of no information: free to move
    value = term(model, step_of(model))
    assert float(value) == pytest.approx(0.5 * (2.0 * 9 + 0.5 * 16), rel=1e-5)
    value.backward()
    torch.testing.assert_close(moving.grad[0, :3], torch.tensor([6.0, -2.0, 0.0]), rtol=0, atol=1e-5)
    assert float(moving.grad[1].abs().max()) == 0.0
