"""`kws.enrollment.examples`: packed frames, the fit against scikit-learn, the head that comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from kws.audio import seconds_to_samples
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.enrollment import examples
from kws.enrollment.examples import STEPS, WIDEST, FittedLayer, FrameSpace, fit, head_of
from kws.errors import CheckpointError, ConfigError
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


def test_directions_in_which_nothing_varies_are_left_out():
    features = torch.from_numpy(RNG.standard_normal((20, 80))).float()
    space = FrameSpace.of(features)
    assert space.basis.shape == (80, 19)  # 20 frames differ in 19 directions
    projected = space.project(features)
    torch.testing.assert_close(torch.cov(projected.T), torch.eye(19), atol=1e-3, rtol=0)
    assert FrameSpace.of(features.repeat(50, 1)).basis.shape == (80, 19)
    constant = torch.cat([features, torch.ones(20, 4)], dim=1)
    assert FrameSpace.of(constant).basis.isfinite().all()


def test_windows_end_when_the_layer_shall_fire():
    encoder = EmbeddedEncoder(EmbeddedConfig(num_mels=8, dimension=12, num_layers=3, kernel=3, lookahead=2))
    hop, lookahead = encoder.info.hop_samples, encoder.info.lookahead_samples // encoder.info.hop_samples
    example = RNG.standard_normal(100 * hop).astype(np.float32) * 0.1
    space = FrameSpace(torch.zeros(12), torch.eye(12)[:, :5])
    windows = examples.windows_of(encoder.eval(), space, [example])
    tail = seconds_to_samples(examples.AFTER_S)
    frames = space.project(examples.encode(encoder, np.pad(example, (0, tail)))).numpy()
    end = 100 - tail // hop  # first frame after the keyword
    assert windows.shape == (3, NUM_FRAMES, 5) and lookahead == 2
    for window, later in zip(windows, (-1, 1, 3), strict=True):
        last = end + lookahead + later - 1
        expected = [frames[last - STRIDE * back] for back in reversed(range(NUM_FRAMES))]
        np.testing.assert_array_equal(window, expected)


def test_background_is_every_second_frame_and_a_minute_at_least():
    encoder = EmbeddedEncoder(EmbeddedConfig(num_mels=8, dimension=12, num_layers=2, kernel=3)).eval()
    hop = encoder.info.hop_samples
    samples = RNG.integers(-3000, 3000, seconds_to_samples(61.0)).astype(np.int16)
    space, frames = examples.background_frames(encoder, None, samples)
    piece = seconds_to_samples(examples.PIECE_S)
    heard = [
        examples.encode(encoder, part.astype(np.float32) / 32768)[::STRIDE]
        for part in (samples[:piece], samples[piece:])
    ]
    np.testing.assert_allclose(frames, space.project(torch.cat(heard)), atol=1e-5)
    message = r"--negatives: 59.9 s of speech; .* at least 60 s, .*; give more"
    with pytest.raises(ConfigError, match=message):
        examples.background_frames(encoder, None, samples[: piece - 2 * hop])
    _, few = examples.background_frames(encoder, space, samples[: 10 * hop])
    assert len(few) == 5


def test_the_layer_is_the_logistic_regression_over_every_window(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(examples, "ITERATIONS", 2000)
    background, positives = frames_of(400), frames_of(30 * NUM_FRAMES).reshape(30, NUM_FRAMES, 2) + 0.5
    shares = np.full(30, 1 / 30)
    found = examples._logistic_regression(positives, shares, background)
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

    def constant(positives: np.ndarray, shares: np.ndarray, frames: np.ndarray) -> np.ndarray:
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


def test_an_example_counts_where_its_best_window_scores():
    layer = FittedLayer(np.ones((NUM_FRAMES, 2), np.float32), -1.0, np.zeros(0))
    windows = np.zeros((4 * len(examples.FIRES_AFTER), NUM_FRAMES, 2), np.float32)
    windows[1, 0, 0] = 3.0  # one window of the first example: logit 2
    windows[-1, :2, 1] = 1.0  # of the last: logit 1
    assert examples.share_above(layer, windows, float(expit(1.5))) == 1 / 4
    assert examples.share_above(layer, windows, float(expit(0.9))) == 2 / 4
    assert examples.share_above(layer, windows, float(expit(-1.1))) == 1


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
