"""A keyword layer fitted in seconds: examples of a keyword against speech without it, as frozen frames.

One linear layer over the frames of a second is a logistic regression. Beside it the phrase is searched for in
the phones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit
from torch import Tensor

from kws.config import above_zero, at_least
from kws.enrollment.heard import (
    BLOCK_FRAMES,
    HEARING,
    Examples,
    FirstLayers,
    FrameSpace,
    HearingConfig,
)
from kws.heads.phrase_window import PhraseWindowHead, held, ways
from kws.heads.window import NUM_FRAMES


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How a layer is fitted."""

    positive_share: float = 0.1
    """Weight of all examples together, where that of all background is 1."""
    near_share: float = 0.3
    """Weight of all that sounds like a part of the keyword together, where that of all background is 1."""
    penalty: float = 3e-3
    """Weight of the squared weights of the layer."""
    first_bias: float = -5.0
    """The search starts from a layer of this bias, in logits, that fires on nothing."""
    iterations: int = 40
    """Steps of L-BFGS at most."""

    def __post_init__(self) -> None:
        above_zero("fit", self, "positive_share", "iterations")
        at_least(0, "fit", self, "near_share", "penalty")


@dataclass(frozen=True, slots=True)
class CalibrationConfig:
    """How the two kinds of evidence that a head may fire by come to one scale."""

    near_per_hour: float = 3.0
    """Peaks per hour of background at the first point of the line."""
    far: int = 10
    """At the second point there are so many times as many."""
    peak_s: float = 1.0
    """Background has one peak in so many seconds."""
    least_spread: float = 0.5
    """Logits between both points, where there is so little background that they are all but one."""
    sum_per_hour: float = 0.5
    """False accepts per hour of layer and phones together at a logit of 0 (docs/log, typed text)."""
    phones_per_hour: float = 1.0
    """The same of the phones alone."""

    def __post_init__(self) -> None:
        names = ("near_per_hour", "peak_s", "least_spread", "sum_per_hour", "phones_per_hour")
        above_zero("calibration", self, *names)
        at_least(2, "calibration", self, "far")

    @property
    def per_hour(self) -> tuple[float, float]:
        """False accepts per hour at a logit of 0: of layer and phones together, and of the phones alone."""
        return self.sum_per_hour, self.phones_per_hour


@dataclass(frozen=True, slots=True)
class ShippedSpeechConfig:
    """What thresholds on the background speech of the package are worth."""

    margin: float = 2.0
    """Thresholds on it are raised to so many times fewer false accepts. The recogniser was trained on part of
    that speech, and part is orders of drinks; other speech sets phrases off more often (docs/log, what a
    threshold promises)."""
    proven_per_hour: float = 0.5
    """False accepts per hour down to which such thresholds were measured."""

    def __post_init__(self) -> None:
        above_zero("shipped_speech", self, "margin", "proven_per_hour")


FIT, CALIBRATION, SHIPPED_SPEECH = FitConfig(), CalibrationConfig(), ShippedSpeechConfig()


class FittedLayer(NamedTuple):
    """A linear layer over every ``STRIDE``-th frame of a second, for one keyword.

    Attributes:
        weight: (NUM_FRAMES, component).
        bias: of its logit.
        logits: (frames,) of the background, each half's by the layer that was fitted without it.
        without: (2, NUM_FRAMES * component + 1), the layers that were fitted without each half.
    """

    weight: np.ndarray
    bias: float
    logits: np.ndarray
    without: np.ndarray

    def logits_of_copy(self, frames: np.ndarray, block: int) -> np.ndarray:
        """Return (frames,) logits of a changed copy of background, by the layer that was fitted without it.

        Args:
            frames: (frames, component) of the copy.
            block: number of the block of ``BLOCK_FRAMES`` that it is a copy of, counted from the beginning of
                the background, or from where one follows another.
        """
        return _logits(frames, self.without[block % 2])


def fit(
    groups: Sequence[np.ndarray],
    weights: Sequence[float],
    background: np.ndarray,
    config: FitConfig = FIT,
    near: np.ndarray | None = None,
) -> FittedLayer:
    """Fit a layer on the whole background, and for its logits one on each half.

    Args:
        groups: windows of examples, (windows, NUM_FRAMES, component) each, such as recordings and synthetic
            voices.
        weights: of each group beside the others.
        background: (frames, component) of speech without the keyword, every ``STRIDE``-th frame.
        config: of the search.
        near: windows of what sounds like a part of the keyword, (windows, NUM_FRAMES, component); None for
            none.
    """
    places = np.arange(len(background)) // BLOCK_FRAMES % 2
    halves = [background[places == half] for half in (0, 1)]
    shares = np.concatenate(
        [
            np.full(len(group), weight / sum(weights) / len(group))
            for group, weight in zip(groups, weights, strict=True)
        ]
    )
    positives = np.concatenate(groups).astype(np.float32)
    first, second, whole = (
        _logistic_regression(positives, shares, frames, config, near) for frames in (*halves, background)
    )
    logits = np.zeros(len(background), np.float32)
    without = np.stack([second, first])
    for half, frames in enumerate(halves):
        logits[places == half] = _logits(frames, without[half])
    weight = whole[:-1].reshape(positives.shape[1:]).astype(np.float32)
    return FittedLayer(weight, float(whole[-1]), logits, without)


@torch.no_grad()
def share_above(
    layer: FittedLayer,
    head: PhraseWindowHead,
    keyword: int,
    examples: Examples,
    threshold: float,
    config: HearingConfig = HEARING,
) -> float:
    """Return the share of examples in which a fitted phrase scores above a threshold.

    Args:
        layer: of the phrase.
        head: that it is part of.
        keyword: number of the phrase there.
        examples: of any phrase.
        threshold: a score.
        config: how the examples were heard.
    """
    later = config.fires_after
    seen = ((examples.windows * layer.weight).sum(axis=(1, 2)) + layer.bias).reshape(-1, len(later), 1)
    logits, _ = head.phrase.search(examples.phones, head.phrase.initial_state(len(examples.phones))[0])
    best, _ = held(logits)
    spoken = best[:, [after - later[-1] - 1 for after in later]]
    scores = head.fuse(torch.from_numpy(seen), spoken)[:, :, keyword].sigmoid()
    return float((scores.amax(dim=1) >= threshold).float().mean())


def stricter(scores: np.ndarray, times: float) -> np.ndarray:
    """Raise scores of speech without the keyword, so that a threshold on them gives fewer false accepts.

    Args:
        scores: any shape.
        times: how many times fewer by the scale of :func:`calibrate`, above 0.
    """
    scaled: np.ndarray = expit(logit(scores) + math.log(times))
    return scaled


def _logits(frames: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Return (frames,) logits of the windows that end with each frame, of the first ones that of none."""
    weight = layer[:-1].reshape(NUM_FRAMES, -1).astype(np.float32)
    products = frames @ weight.T  # (frames, NUM_FRAMES)
    ends = max(0, len(frames) - NUM_FRAMES + 1)
    logits = sum(products[place : place + ends, place] for place in range(NUM_FRAMES)) + layer[-1]
    return np.concatenate([np.full(NUM_FRAMES - 1, layer[-1]), logits])[: len(frames)].astype(np.float32)


def _logistic_regression(
    positives: np.ndarray,
    shares: np.ndarray,
    frames: np.ndarray,
    config: FitConfig = FIT,
    near: np.ndarray | None = None,
) -> np.ndarray:
    """Return weights and bias of the layer that tells positives from every window of the frames."""
    flat, ends = positives.reshape(len(positives), -1), len(frames) - NUM_FRAMES + 1
    alike = np.zeros((0, flat.shape[1]), np.float32) if near is None else near.reshape(len(near), -1)
    near_share = config.near_share / max(1, len(alike))  # of each

    def loss_and_gradient(layer: np.ndarray) -> tuple[float, np.ndarray]:
        weight = layer[:-1]
        below = _logits(frames, layer)[NUM_FRAMES - 1 :]
        above = flat @ weight.astype(np.float32) + layer[-1]
        beside = alike @ weight.astype(np.float32) + layer[-1]
        loss = np.logaddexp(0, below).mean() + config.positive_share * shares @ np.logaddexp(0, -above)
        loss += near_share * np.logaddexp(0, beside).sum()
        pushed = (expit(below) / ends).astype(np.float32)
        pulled = (-config.positive_share * shares * expit(-above)).astype(np.float32)
        held_off = (near_share * expit(beside)).astype(np.float32)
        placed = np.zeros((len(frames), NUM_FRAMES), np.float32)
        for place in range(NUM_FRAMES):
            placed[place : place + ends, place] = pushed
        slope = (placed.T @ frames).reshape(-1) + pulled @ flat + held_off @ alike
        slope += 2 * config.penalty * weight
        bias = pushed.sum() + pulled.sum() + held_off.sum()
        return float(loss + config.penalty * weight @ weight), np.append(slope, bias)

    start = np.append(np.zeros(flat.shape[1]), config.first_bias)
    options = {"maxiter": config.iterations, "maxcor": 20}
    weights: np.ndarray = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x
    return weights


def head_of(
    layers: Sequence[FittedLayer],
    space: FrameSpace,
    kept: FirstLayers,
    pronunciations: Sequence[Sequence[str]],
) -> PhraseWindowHead:
    """Return the head that adds fitted layers, on frames as the encoder gives them, and typed phones.

    Args:
        layers: of each phrase.
        space: that they were fitted in.
        kept: what they were fitted on.
        pronunciations: of each phrase.
    """
    head = PhraseWindowHead(len(space.mean), pronunciations, kept.blocks)
    head.phrase.output.load_state_dict(kept.output.state_dict())
    # (keyword, NUM_FRAMES, dimension)
    weights = torch.stack([torch.from_numpy(layer.weight) @ space.basis.T for layer in layers])
    bias = torch.tensor([layer.bias for layer in layers]) - (weights @ space.mean).sum(dim=1)
    head.window.output.conv.load_state_dict({"weight": weights.transpose(1, 2), "bias": bias})
    return head.eval()


@torch.no_grad()
def calibrate(
    head: PhraseWindowHead,
    seen: Tensor,
    phones: Tensor,
    frames_per_hour: float,
    config: CalibrationConfig = CALIBRATION,
) -> None:
    """Bring both kinds of evidence to one scale, on which 0 is about one false accept per hour.

    A kind's scale and offset make of a logit minus the logarithm of the false accepts per hour at it, as a
    share of ``per_hour``: a line through two rates of peaks in speech without the keyword, as false accepts
    decay exponentially.

    Args:
        head: its ``scale`` and ``offset`` are set.
        seen: (frames, keyword) logits of the window, of speech without the keyword.
        phones: (frames, keyword) of the held phones.
        frames_per_hour: of both.
        config: rates of the line, and what 0 means.
    """
    for kind, logits in enumerate(ways(seen, phones)):
        block = max(1, min(round(config.peak_s / 3600 * frames_per_hour), len(logits) // config.far))
        blocks = torch.unflatten(logits[: len(logits) // block * block], 0, (-1, block))
        peaks = blocks.amax(dim=1).sort(dim=0, descending=True).values
        hours = len(logits) / frames_per_hour
        near = max(1, round(config.near_per_hour * hours))
        far = min(config.far * near, len(peaks))
        spread = (peaks[near - 1] - peaks[far - 1]).clamp(min=config.least_spread)
        head.scale[kind] = math.log(far / near) / spread
        head.offset[kind] = -head.scale[kind] * peaks[near - 1] - math.log(
            near / hours / config.per_hour[kind]
        )
