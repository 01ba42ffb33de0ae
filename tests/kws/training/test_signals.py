"""Relative gradient norms against gradients taken one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from kws.audio_store import AudioStore
from kws.data import BatchConfig, KeywordBatches
from kws.losses import build_loss
from kws.training.signals import NUM_BATCHES, gradient_signals
from tests.support.training import noise, spoken, tiny_model, write_utterances


def test_each_is_the_norm_of_the_gradient_over_that_of_the_weights_as_a_mean_over_batches(tmp_path: Path):
    words = AudioStore(write_utterances(tmp_path / "words", [spoken(seed=n) for n in range(3)]), None, 1)
    others = AudioStore(write_utterances(tmp_path / "others", [noise(4, 1), noise(4, 2)]), None, 1)
    config = BatchConfig(window_s=1.0, num_positives=2, num_negatives=2)
    batches = KeywordBatches(words, [0] * 3, others, config, num_keywords=1, hop_samples=640)
    model, loss = tiny_model(depth=2), build_loss("max_pooling")
    for layer in model.encoder.layers:
        layer.drop = 0.9  # stochastic depth must not blur what is asked
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = gradient_signals(model.train(), loss, batches)

    parts = [model.encoder.stem, *model.encoder.layers]
    expected = np.zeros(3)
    model.eval()
    for step in range(NUM_BATCHES):
        batch = batches.batch(step)
        logits, _ = model(batch.waveform, batch.lengths)
        value = loss(logits, batch)
        for index, part in enumerate(parts):
            weights = list(part.parameters())
            gradients = torch.autograd.grad(value, weights, retain_graph=True)
            norms = [
                np.sqrt(sum(np.square(t.detach().double().numpy()).sum() for t in tensors))
                for tensors in (gradients, weights)
            ]
            expected[index] += norms[0] / norms[1] / NUM_BATCHES
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert min(found) > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_mode_of_the_model_is_as_before(tmp_path: Path):
    words = AudioStore(write_utterances(tmp_path / "words", [spoken()]), None, 1)
    others = AudioStore(write_utterances(tmp_path / "others", [noise(3)]), None, 1)
    config = BatchConfig(window_s=1.0, num_positives=1, num_negatives=1)
    batches = KeywordBatches(words, [0], others, config, num_keywords=1, hop_samples=640)
    for mode in (True, False):
        model = tiny_model(depth=1).train(mode)
        gradient_signals(model, build_loss("max_pooling"), batches)
        assert {module.training for module in model.modules()} == {mode}
