"""`kws.examples`: packed frames, the fit against scikit-learn, the head that comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from kws import examples
from kws.errors import CheckpointError
from kws.examples import STEPS, WIDEST, FittedLayer, FrameSpace, fit, head_of
from kws.heads.window import NUM_FRAMES, STRIDE
from kws.weights import write_weights

RNG = np.random.default_rng(0)


def frames_of(count: int, components: int = 2) -> np.ndarray:
    return RNG.standard_normal((count, components)).astype(np.float32)


def test_packed_frames_are_within_half_a_step(tmp_path: Path):
    features = torch.from_numpy(RNG.standard_normal((4000, 80))).float() * torch.linspace(0.1, 3, 80)
    write_weights(tmp_path / "frames.safetensors", examples.pack_frames(features))
    space, frames = examples.read_frames(tmp_path / "frames.safetensors")
    assert frames.shape == (4000, examples.COMPONENTS)
    exact = FrameSpace.of(features).project(features)
    torch.testing.assert_close(torch.cov(exact.T), torch.eye(examples.COMPONENTS), atol=1e-3, rtol=0)
    inside = exact.abs() <= WIDEST
    error = (torch.from_numpy(frames) - exact).abs()
    assert float(error[inside].max()) <= WIDEST / STEPS / 2 + 1e-3
    torch.testing.assert_close(space.project(features), exact, atol=0.02, rtol=0)  # kept as half floats
    write_weights(tmp_path / "other.safetensors", {"mean": torch.zeros(80)})
    with pytest.raises(CheckpointError, match=r"other.safetensors: holds no packed frames"):
        examples.read_frames(tmp_path / "other.safetensors")


def test_the_layer_is_the_logistic_regression_over_every_window(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(examples, "ITERATIONS", 2000)
    background, positives = frames_of(400), frames_of(30 * NUM_FRAMES).reshape(30, NUM_FRAMES, 2) + 0.5
    shares = np.full(30, 1 / 30)
    start = np.append(np.zeros(NUM_FRAMES * 2), -5.0)
    found = examples._logistic_regression(positives, shares, background, start)
    windows = np.stack([background[end - NUM_FRAMES : end].ravel() for end in range(NUM_FRAMES, 401)])
    # scikit-learn's penalty is half the squared weights, its sum of losses is weighted by C and the samples
    weights = np.concatenate([np.full(len(windows), 1 / len(windows)), examples.POSITIVE_SHARE * shares])
    expected = LogisticRegression(C=1 / (2 * examples.PENALTY), max_iter=20_000, tol=1e-8).fit(
        np.concatenate([windows, positives.reshape(30, -1)]),
        np.repeat([0, 1], [len(windows), 30]),
        sample_weight=weights,
    )
    np.testing.assert_allclose(found[:-1], expected.coef_[0], atol=0.02)
    np.testing.assert_allclose(found[-1], expected.intercept_[0], atol=0.02)


def test_a_half_is_scored_by_the_layer_that_did_not_see_it(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def constant(
        positives: np.ndarray, shares: np.ndarray, frames: np.ndarray, start: np.ndarray
    ) -> np.ndarray:
        seen.append((frames, shares))
        return np.append(np.zeros(NUM_FRAMES * 2), float(len(seen)))

    monkeypatch.setattr(examples, "_logistic_regression", constant)
    background = frames_of(3 * examples.BLOCK_FRAMES)
    groups = [frames_of(count * NUM_FRAMES).reshape(count, NUM_FRAMES, 2) for count in (3, 6)]
    layer = fit(groups, background)
    blocks = background.reshape(3, examples.BLOCK_FRAMES, 2)
    np.testing.assert_array_equal(seen[0][0], np.concatenate([blocks[0], blocks[2]]))
    np.testing.assert_array_equal(seen[1][0], blocks[1])
    np.testing.assert_allclose(seen[0][1], [1 / 6] * 3 + [1 / 12] * 6)  # both groups weigh the same
    expected = np.repeat(expit([2.0, 1.0, 2.0]), examples.BLOCK_FRAMES)
    np.testing.assert_allclose(layer.scores, expected, rtol=1e-6)
    np.testing.assert_array_equal(seen[2][0], background)
    assert layer.bias == 3.0


def test_the_head_scores_frames_like_the_layer():
    features = torch.from_numpy(RNG.standard_normal((200, 8))).float()
    space = FrameSpace.of(features)
    layers = [
        FittedLayer(RNG.standard_normal((NUM_FRAMES, 7)).astype(np.float32), bias, np.zeros(0))
        for bias in (-1.0, 2.0)
    ]
    head = head_of(layers, space).eval()
    with torch.no_grad():
        logits, _ = head(features[None], head.initial_state(1))
    projected, reach = space.project(features).numpy(), STRIDE * (NUM_FRAMES - 1)
    for output, layer in enumerate(layers):
        expected = [
            (projected[last - reach : last + 1 : STRIDE] * layer.weight).sum() + layer.bias
            for last in range(reach, 200)
        ]
        np.testing.assert_allclose(logits[0, reach:, output], expected, atol=2e-4)
