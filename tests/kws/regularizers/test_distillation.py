"""Distillation beside the divergence that scipy gives, at every depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from kws.encoders.ctc import PhoneRecognizer
from kws.regularizers import build_regularizer
from kws.structs import Batch
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import batch_of, resources_of, step_of
from tests.support.training import tiny_model

FRAMES = [20, 10, 20, 1]
BATCH = batch_of()._replace(lengths=torch.tensor([12_800, 6400, 12_800, 700]))


def phones_of(recognizer: PhoneRecognizer, batch: Batch) -> np.ndarray:
    """Phone logits as pretraining makes them, from log-mel frames."""
    frontend = recognizer.encoder.frontend
    log_mel, _ = frontend(batch.waveform, frontend.initial_state(len(batch.waveform)))
    with torch.no_grad():
        return recognizer(log_mel)[0].numpy().astype(np.float64)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_is_the_softened_divergence_of_the_phones_of_the_tuned_from_the_sources(depth: int):
    model = tiny_model(depth=depth).eval()
    apply_policy(model, TransferConfig("all"))
    resources = resources_of(model)
    term = build_regularizer("distillation", model, resources)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    source = resources.recognizer
    told = softmax(phones_of(source, BATCH) / 2, axis=2)
    now = softmax(phones_of(source.with_first_layers(model.encoder), BATCH) / 2, axis=2)
    frames = [rel_entr(told[row, t], now[row, t]).sum() for row in range(4) for t in range(FRAMES[row])]
    value = term(model, step_of(model, BATCH))
    assert float(value) == pytest.approx(4 * np.mean(frames), rel=1e-3) and float(value) > 1e-3


def test_the_gradient_is_that_of_soft_targets_and_goes_through_layers_that_stay():
    model = tiny_model(depth=4).eval()  # with every layer kept only the output lies above
    apply_policy(model, TransferConfig("all"))
    resources = resources_of(model)
    term = build_regularizer("distillation", model, resources).train()
    step = step_of(model, BATCH)
    features = (step.features.detach() + 0.1).requires_grad_(True)
    term(model, step._replace(features=features)).backward()
    output = resources.recognizer.output
    tuned = features.detach().clone().requires_grad_(True)
    logits = output(tuned)
    told = torch.from_numpy(softmax(phones_of(resources.recognizer, BATCH) / 2, axis=2)).float()
    # d KL / d logits = (q - p) / T, times T squared, by the mean over frames
    now = torch.softmax(logits.detach() / 2, dim=2)
    valid = torch.tensor([[t < count for t in range(20)] for count in FRAMES])
    logits.backward(2 * (now - told) * valid[:, :, None] / sum(FRAMES))
    torch.testing.assert_close(features.grad, tuned.grad, rtol=1e-3, atol=1e-6)
    assert all(parameter.grad is None for parameter in term.parameters())
