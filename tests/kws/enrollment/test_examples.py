"""`kws.enrollment.examples`: the fit against scikit-learn, the head that comes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from kws.enrollment import examples
from kws.enrollment.examples import (
    CALIBRATION,
    FIT,
    FitConfig,
    FittedLayer,
    calibrate,
    fit,
    head_of,
    share_above,
    stricter,
)
from kws.enrollment.heard import HEARING, Examples, FirstLayers, FrameSpace
from kws.heads.phrase import WORST_FRAME
from kws.heads.phrase_window import FLOOR, HELD_FRAMES, PhraseWindowHead, held
from kws.heads.window import NUM_FRAMES, STRIDE
from kws.phones import BLANK, NUM_OUTPUTS, encode
from tests.support.training import tiny_recognizer

RNG = np.random.default_rng(0)


def frames_of(count: int, components: int = 2) -> np.ndarray:
    return RNG.standard_normal((count, components)).astype(np.float32)


def test_the_layer_is_the_logistic_regression_over_every_window():
    background, positives = frames_of(400), frames_of(30 * NUM_FRAMES).reshape(30, NUM_FRAMES, 2) + 0.5
    shares = np.full(30, 1 / 30)
    found = examples._logistic_regression(positives, shares, background, FitConfig(iterations=2000))
    windows = np.stack([background[end - NUM_FRAMES : end].ravel() for end in range(NUM_FRAMES, 401)])
    # scikit-learn's penalty is half the squared weights, its sum of losses is weighted by C and the samples
    weights = np.concatenate([np.full(len(windows), 1 / len(windows)), FIT.positive_share * shares])
    expected = LogisticRegression(C=1 / (2 * FIT.penalty), max_iter=20_000, tol=1e-8).fit(
        np.concatenate([windows, positives.reshape(30, -1)]),
        np.repeat([0, 1], [len(windows), 30]),
        sample_weight=weights,
    )
    np.testing.assert_allclose(found[:-1], expected.coef_[0], atol=0.02)
    np.testing.assert_allclose(found[-1], expected.intercept_[0], atol=0.02)


def test_what_sounds_like_the_keyword_is_told_from_it_as_further_background():
    background, positives = frames_of(400), frames_of(30 * NUM_FRAMES).reshape(30, NUM_FRAMES, 2) + 0.5
    near = frames_of(20 * NUM_FRAMES).reshape(20, NUM_FRAMES, 2) + 0.3
    shares, config = np.full(30, 1 / 30), FitConfig(iterations=2000, near_share=0.2)
    found = examples._logistic_regression(positives, shares, background, config, near)
    windows = np.stack([background[end - NUM_FRAMES : end].ravel() for end in range(NUM_FRAMES, 401)])
    counts = (len(windows), 20, 30)
    each = (1 / len(windows), 0.2 / 20, config.positive_share / 30)
    expected = LogisticRegression(C=1 / (2 * config.penalty), max_iter=20_000, tol=1e-8).fit(
        np.concatenate([windows, near.reshape(20, -1), positives.reshape(30, -1)]),
        np.repeat([0, 0, 1], counts),
        sample_weight=np.repeat(each, counts),
    )
    np.testing.assert_allclose(found[:-1], expected.coef_[0], atol=0.02)
    np.testing.assert_allclose(found[-1], expected.intercept_[0], atol=0.02)
    without = examples._logistic_regression(positives, shares, background, config)
    scores = (near.reshape(20, -1) @ layer[:-1] + layer[-1] for layer in (found, without))
    assert next(scores).mean() < next(scores).mean() - 0.3


def test_a_half_is_scored_by_the_layer_that_did_not_see_it(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def constant(
        positives: np.ndarray,
        shares: np.ndarray,
        frames: np.ndarray,
        config: FitConfig,
        near: np.ndarray | None,
    ) -> np.ndarray:
        seen.append((frames, shares))
        return np.append(np.zeros(NUM_FRAMES * 2), float(len(seen)))

    monkeypatch.setattr(examples, "_logistic_regression", constant)
    background = frames_of(3 * examples.BLOCK_FRAMES)
    groups = [frames_of(count * NUM_FRAMES).reshape(count, NUM_FRAMES, 2) for count in (3, 6)]
    layer = fit(groups, [1.0, 3.0], background)
    blocks = background.reshape(3, examples.BLOCK_FRAMES, 2)
    np.testing.assert_array_equal(seen[0][0], np.concatenate([blocks[0], blocks[2]]))
    np.testing.assert_array_equal(seen[1][0], blocks[1])
    np.testing.assert_allclose(seen[0][1], [1 / 12] * 3 + [1 / 8] * 6)
    expected = np.repeat([2.0, 1.0, 2.0], examples.BLOCK_FRAMES)
    np.testing.assert_allclose(layer.logits, expected, rtol=1e-6)
    np.testing.assert_array_equal(seen[2][0], background)
    assert layer.bias == 3.0
    for block, bias in ((0, 2.0), (1, 1.0), (2, 2.0), (5, 1.0)):  # a copy too, even one shorter than a window
        for count in (20, NUM_FRAMES - 2):
            np.testing.assert_allclose(layer.logits_of_copy(frames_of(count), block), np.full(count, bias))


@torch.no_grad()
def test_an_example_counts_where_its_best_window_and_phones_score():
    layer = FittedLayer(np.ones((NUM_FRAMES, 2), np.float32), -1.0, np.zeros(0), np.zeros(0))
    windows = np.zeros((4 * len(HEARING.fires_after), NUM_FRAMES, 2), np.float32)
    windows[1, 0, 0] = 3.0  # one window of the first example: logit 2
    windows[-1, :2, 1] = 1.0  # of the last: logit 1
    head = PhraseWindowHead(8, [["M AH"], ["K AH"]], [])
    head.offset[1] = -1000.0  # the phones alone never
    phones = torch.full((4, 30, NUM_OUTPUTS), -WORST_FRAME)
    phones[:, :, BLANK] = 0.0
    said = Examples(windows, phones)
    logits, _ = head.phrase.search(phones, head.phrase.initial_state(4)[0])
    silent = float(logits[0, -1, 1].clamp(min=FLOOR))

    def share(threshold: float) -> float:
        return share_above(layer, head, 1, said, float(expit(silent + threshold)))

    assert [share(threshold) for threshold in (1.5, 0.9, -1.1)] == [1 / 4, 2 / 4, 1]
    phones[2, -2:, :] = -WORST_FRAME
    phones[2, -2, encode("K")] = phones[2, -1, encode("AH")] = 0.0  # said as the last window ends
    windows[2 * len(HEARING.fires_after), 0, 0] = 6.0  # logit 5, but before anything is said
    logits, _ = head.phrase.search(phones[2:3], head.phrase.initial_state(1)[0])
    spoken = float(logits[0, -1, 1])
    assert spoken > silent + 10
    found = [share_above(layer, head, 1, said, float(expit(spoken + above))) for above in (-1.1, -0.9)]
    assert found == [1 / 4, 0]
    assert share_above(layer, head, 0, said, float(expit(spoken - 1.1))) == 0  # the other phrase
    head.offset[1] = 0.0
    assert share_above(layer, head, 1, said, float(expit(spoken - 0.1))) == 1 / 4


@torch.no_grad()
def test_the_head_scores_frames_like_the_layer_and_adds_the_phones():
    kept = FirstLayers(tiny_recognizer())
    features = torch.from_numpy(RNG.standard_normal((200, 12))).float()
    higher = features[None]
    for block in kept.blocks:
        higher, _ = block(higher, block.initial_state(1))
    space = FrameSpace.of(higher[0])
    layers = [
        FittedLayer(RNG.standard_normal((NUM_FRAMES, 11)).astype(np.float32), bias, *[np.zeros(0)] * 2)
        for bias in (-1.0, 2.0)
    ]
    head = head_of(layers, space, kept, [["K AH"], ["M AH M"]])
    head.offset[1] = -1000.0  # the phones alone never
    logits, _ = head(features[None], head.initial_state(1))
    lattice = head.phrase.search(
        torch.log_softmax(kept.output(features), -1)[None], head.phrase.initial_state(1)[0]
    )
    phones, _ = held(lattice[0], torch.zeros(1, HELD_FRAMES - 1, 2))
    projected, reach = space.project(higher[0]).numpy(), STRIDE * (NUM_FRAMES - 1)
    for output, layer in enumerate(layers):
        expected = [
            (projected[last - reach : last + 1 : STRIDE] * layer.weight).sum() + layer.bias
            for last in range(reach, 200)
        ]
        found = (logits - phones)[0, reach:, output]
        np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.parametrize("way", [0, 1])
def test_a_logit_is_minus_the_logarithm_of_the_false_accepts_per_hour(way: int):
    head, hours, per_second = PhraseWindowHead(8, [["M AH"], ["K AH"]], []), 40, 12
    generator = np.random.default_rng(0)
    # a peak a second, of which ten times as many lie lower by 2 (keyword 0) and by 6 (keyword 1)
    peaks = generator.exponential(1 / np.log(10), (hours * 3600, 2)) * np.array([2.0, 6.0])
    background = np.full((len(peaks), per_second, 2), -50.0)
    background[np.arange(len(peaks)), generator.integers(0, per_second, len(peaks))] = peaks
    logits = torch.from_numpy(background).float().flatten(0, 1)
    silent, never = torch.zeros_like(logits), torch.full_like(logits, -1e4)
    calibrate(head, *((logits, silent) if way == 0 else (silent, logits)), 3600 * per_second)
    fused = head.fuse(logits - never, never) if way == 0 else head.fuse(10 * never, logits)
    for rate in (1, 3, 10, 30):
        found = (fused >= -np.log(rate / CALIBRATION.per_hour[way]) - 1e-3).sum(dim=0) / hours
        torch.testing.assert_close(found, torch.full((2,), float(rate)), atol=0, rtol=0.4)


def test_a_stricter_threshold_gives_so_many_times_fewer_by_the_calibrated_scale():
    assert stricter(0.5, 2.0) == pytest.approx(2 / 3)
    assert stricter(stricter(0.3, 4.0), 0.25) == pytest.approx(0.3)
    assert (stricter(0.0, 2.0), stricter(1.0, 2.0)) == (0.0, 1.0)


def test_little_background_calibrates_without_infinities():
    head = PhraseWindowHead(8, [["M AH"], ["K AH"]], [])
    for frames in (1, 30, 700):
        calibrate(head, torch.full((frames, 2), -20.0), torch.full((frames, 2), FLOOR), 3600 * 12)
        assert head.scale.isfinite().all() and head.offset.isfinite().all()
