"""A keyword layer fitted in seconds: examples of a keyword against speech without it, as frozen frames.

The first layers of the shipped encoder stay as they are. Their frames of some hours of speech are in the
package, so that only the examples have to be heard; one linear layer over the frames of a second then is a
logistic regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor, nn

from kws.audio import SAMPLE_RATE, seconds_to_samples, to_float32
from kws.encoders.base import Encoder
from kws.encoders.sources.embedded_weights import ASSETS
from kws.errors import CheckpointError, ConfigError
from kws.heads.window import NUM_FRAMES, STRIDE, WindowHead
from kws.weights import read_weights

FRAMES = ASSETS / "frames.safetensors"
"""What the shipped encoder's first layers make of speech, of people and synthetic voices; see the card."""
DEPTH = 6
"""Layers kept."""
COMPONENTS = 56
"""Of a frame, the directions that speech varies in most."""
WIDEST, STEPS = 5.0, 7
"""A component is kept in whole steps of 5/7 of its deviation, up to 5 of them: half a byte."""
BEFORE_S, AFTER_S = 1.0, 0.6
"""Near silence around an example."""
FIRES_AFTER = (-1, 1, 3)
"""Frames after the end of an example, and the encoder's look-ahead, at which the layer shall fire."""
POSITIVE_SHARE = 0.1
"""Weight of all examples together, of all background 1."""
PENALTY = 1e-4
"""Of the squared weights."""
FIRST_BIAS = -5.0
"""The search starts from a layer that fires on nothing."""
ITERATIONS = 40
PIECE_S = 60.0
"""Own background is heard in pieces of this length."""
BLOCK_FRAMES = 375
"""The background is cut into two halves in turn, so many frames (30 s) at a time."""
LEAST_VARIANCE = 1e-6
"""Directions that vary less, as a share of the widest, are left out: nothing but rounding is in them."""


class FrameSpace(NamedTuple):
    """Directions that the frames of speech are described in.

    Attributes:
        mean: (dimension,).
        basis: (dimension, component), which brings every component to deviation 1.
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def of(cls, features: Tensor) -> FrameSpace:
        """Return the principal components of (frames, dimension) features, the widest first."""
        normed = _normed(features)
        values, vectors = torch.linalg.eigh(torch.cov(normed.double().T))
        filled = int((values > LEAST_VARIANCE * values.max()).sum())
        widest = values.argsort(descending=True)[: min(COMPONENTS, filled)]
        return cls(normed.mean(dim=0), (vectors[:, widest] / values[widest].sqrt()).float())

    def project(self, features: Tensor) -> Tensor:
        """Map (..., dimension) features to (..., component)."""
        return (_normed(features) - self.mean) @ self.basis


def _normed(features: Tensor) -> Tensor:
    """Bring each frame to mean 0 and deviation 1, as :class:`WindowHead` does."""
    return nn.functional.layer_norm(features.float(), features.shape[-1:])


def pack_frames(features: Tensor) -> dict[str, Tensor]:
    """Return the tensors of :data:`FRAMES` for (frames, dimension), every ``STRIDE``-th of some audio."""
    space = FrameSpace.of(features)
    steps = (space.project(features) / WIDEST * STEPS).round().clamp(-STEPS, STEPS).add(STEPS).to(torch.uint8)
    codes = steps[:, 0::2] * (2 * STEPS + 2) + steps[:, 1::2]
    return {"mean": space.mean.half(), "basis": space.basis.half(), "codes": codes}


def read_frames(path: Path = FRAMES) -> tuple[FrameSpace, np.ndarray]:
    """Return the space of packed frames, and the frames, (frames, component) float32.

    Raises:
        CheckpointError: the file is missing, damaged or holds no packed frames.
    """
    found = read_weights(path)
    codes = found.get("codes")
    if codes is None or codes.dtype != torch.uint8 or not {"mean", "basis"} <= set(found):
        raise CheckpointError(f"{path}: holds no packed frames; install the package again")
    steps = torch.stack([codes // (2 * STEPS + 2), codes % (2 * STEPS + 2)], dim=-1).flatten(1)
    frames = (steps.float() - STEPS) * (WIDEST / STEPS)
    return FrameSpace(found["mean"].float(), found["basis"].float()), frames.numpy()


@torch.no_grad()
def encode(encoder: Encoder, waveform: np.ndarray) -> Tensor:
    """Return the (frames, dimension) features of (samples,) float32, less what does not fill a frame."""
    whole = len(waveform) // encoder.info.hop_samples * encoder.info.hop_samples
    features, _ = encoder.run(torch.from_numpy(waveform[None, :whole]), encoder.initial_state(1))
    return features[0]


def windows_of(encoder: Encoder, space: FrameSpace, examples: Sequence[np.ndarray]) -> np.ndarray:
    """Return windows of frames that end when the layer shall fire.

    Args:
        encoder: cut to :data:`DEPTH` layers, in eval mode.
        space: of the background.
        examples: (samples,) float32 each, ``BEFORE_S`` of near silence before the keyword and ``AFTER_S``
            after.
    Returns:
        (windows, NUM_FRAMES, component) float32.
    """
    tail, hop = seconds_to_samples(AFTER_S), encoder.info.hop_samples
    lookahead = encoder.info.lookahead_samples // hop
    found = []
    for example in examples:
        frames = space.project(encode(encoder, np.pad(example, (0, tail))))
        end = len(frames) - 2 * tail // hop
        ends = [end + lookahead + later for later in FIRES_AFTER]
        found += [frames[last - STRIDE * (NUM_FRAMES - 1) - 1 : last : STRIDE] for last in ends]
    return torch.stack(found).numpy()


def background_frames(
    encoder: Encoder, space: FrameSpace | None, samples: np.ndarray
) -> tuple[FrameSpace, np.ndarray]:
    """Return every ``STRIDE``-th frame of speech without the keyword, and the space they are described in.

    Args:
        encoder: cut to :data:`DEPTH` layers, in eval mode.
        space: of other background; None makes one from these frames.
        samples: (samples,) int16.
    Raises:
        ConfigError: there are too few to make a space from.
    """
    piece = seconds_to_samples(PIECE_S)
    features = [
        encode(encoder, to_float32(np.asarray(samples[start : start + piece])))[::STRIDE]
        for start in range(0, len(samples) - encoder.info.hop_samples + 1, piece)
    ]
    joined = torch.cat(features)
    if space is None and len(joined) < 2 * BLOCK_FRAMES:
        least_s = 2 * BLOCK_FRAMES * STRIDE * encoder.info.hop_samples / SAMPLE_RATE
        raise ConfigError(
            f"--negatives: {len(samples) / SAMPLE_RATE:.1f} s of speech; a layer on own --weights is fitted "
            f"to at least {least_s:g} s, and with hours it misses less; give more"
        )
    space = space or FrameSpace.of(joined)
    return space, space.project(joined).numpy()


class FittedLayer(NamedTuple):
    """A linear layer over every ``STRIDE``-th frame of a second, for one keyword.

    Attributes:
        weight: (NUM_FRAMES, component).
        bias: of its logit.
        scores: (frames,) of the background, each half scored by the layer that was fitted without it.
    """

    weight: np.ndarray
    bias: float
    scores: np.ndarray


def fit(groups: Sequence[np.ndarray], background: np.ndarray) -> FittedLayer:
    """Fit a layer on the whole background, and for the scores one on each half.

    Args:
        groups: windows of examples, (windows, NUM_FRAMES, component) each; every group, such as recordings
            and synthetic voices, weighs the same.
        background: (frames, component) of speech without the keyword, every ``STRIDE``-th frame.
    """
    places = np.arange(len(background)) // BLOCK_FRAMES % 2
    halves = [background[places == half] for half in (0, 1)]
    shares = np.concatenate([np.full(len(group), 1 / len(group) / len(groups)) for group in groups])
    positives = np.concatenate(groups).astype(np.float32)
    first, second, whole = (
        _logistic_regression(positives, shares, frames) for frames in (*halves, background)
    )
    scores = np.zeros(len(background), np.float32)
    for half, other in ((0, second), (1, first)):
        scores[places == half] = expit(_logits(halves[half], other))
    weight = whole[:-1].reshape(positives.shape[1:]).astype(np.float32)
    return FittedLayer(weight, float(whole[-1]), scores)


def share_above(layer: FittedLayer, windows: np.ndarray, threshold: float) -> float:
    """Return the share of examples in which a layer scores above a threshold.

    Args:
        layer: of any phrase.
        windows: of examples, as :func:`windows_of` returns them.
        threshold: a score.
    """
    scores = expit((windows * layer.weight).sum(axis=(1, 2)) + layer.bias)
    return float((scores.reshape(-1, len(FIRES_AFTER)).max(axis=1) >= threshold).mean())


def _logits(frames: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Return (frames,) logits of the windows that end with each frame, of the first ones that of none."""
    weight = layer[:-1].reshape(NUM_FRAMES, -1).astype(np.float32)
    products = frames @ weight.T  # (frames, NUM_FRAMES)
    ends = len(frames) - NUM_FRAMES + 1
    logits = sum(products[place : place + ends, place] for place in range(NUM_FRAMES)) + layer[-1]
    return np.concatenate([np.full(NUM_FRAMES - 1, layer[-1]), logits]).astype(np.float32)


def _logistic_regression(positives: np.ndarray, shares: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return weights and bias of the layer that tells positives from every window of the frames."""
    flat, ends = positives.reshape(len(positives), -1), len(frames) - NUM_FRAMES + 1

    def loss_and_gradient(layer: np.ndarray) -> tuple[float, np.ndarray]:
        weight = layer[:-1]
        below = _logits(frames, layer)[NUM_FRAMES - 1 :]
        above = flat @ weight.astype(np.float32) + layer[-1]
        loss = np.logaddexp(0, below).mean() + POSITIVE_SHARE * shares @ np.logaddexp(0, -above)
        pushed = (expit(below) / ends).astype(np.float32)
        pulled = (-POSITIVE_SHARE * shares * expit(-above)).astype(np.float32)
        placed = np.zeros((len(frames), NUM_FRAMES), np.float32)
        for place in range(NUM_FRAMES):
            placed[place : place + ends, place] = pushed
        slope = (placed.T @ frames).reshape(-1) + pulled @ flat + 2 * PENALTY * weight
        return float(loss + PENALTY * weight @ weight), np.append(slope, pushed.sum() + pulled.sum())

    start = np.append(np.zeros(flat.shape[1]), FIRST_BIAS)
    options = {"maxiter": ITERATIONS, "maxcor": 20}
    return minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x


def head_of(layers: Sequence[FittedLayer], space: FrameSpace) -> WindowHead:
    """Return the head whose outputs are fitted layers, on frames as the encoder gives them."""
    head = WindowHead(len(space.mean), len(layers))
    # (keyword, NUM_FRAMES, dimension)
    weights = torch.stack([torch.from_numpy(layer.weight) @ space.basis.T for layer in layers])
    bias = torch.tensor([layer.bias for layer in layers]) - (weights @ space.mean).sum(dim=1)
    head.output.conv.load_state_dict({"weight": weights.transpose(1, 2), "bias": bias})
    return head
