"""What a fitted detector hears: frames and phones of examples, and of hours of speech that ship.

The first layers of the shipped encoder stay as they are. Their frames of some hours of speech, and the phones
that they hear in it, are in the package, so that only the examples have to be heard.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from torch import Tensor, nn

from kws.audio import SAMPLE_RATE, seconds_to_samples, to_float32
from kws.config import above_zero
from kws.encoders.base import EncoderInfo
from kws.encoders.blocks.base import initial_states, run_blocks
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded_weights import ASSETS
from kws.encoders.truncate import truncate
from kws.enrollment.typed import background_logits, read_background
from kws.errors import CheckpointError, ConfigError
from kws.heads.phrase import WORST_FRAME, PhraseHead
from kws.heads.phrase_window import held
from kws.heads.window import NUM_FRAMES, STRIDE
from kws.phones import BLANK, NUM_OUTPUTS
from kws.weights import read_weights

FRAMES = ASSETS / "frames.safetensors"
"""What the shipped encoder's first layers make of speech, of people and synthetic voices; see the card."""
FRAME_PHONES = ASSETS / "frame_phones.safetensors"
"""Phones of the same speech as the recogniser's middle output hears them, twice as many frames."""
DEPTH = 6
"""Layers below the fitted one, more where phones are heard higher."""
WIDEST, STEPS = 5.0, 7
"""A component is kept in whole steps of 5/7 of its deviation, up to 5 of them: half a byte."""
BLOCK_FRAMES = 375
"""The background is cut into two halves in turn, so many frames (30 s) at a time."""


@dataclass(frozen=True, slots=True)
class HearingConfig:
    """How examples and own background are heard."""

    components: int = 56
    """Directions kept of a frame of own background, those that it varies in most; what ships has its own."""
    least_variance: float = 1e-6
    """Directions that vary less, as a share of the widest, are left out: nothing but rounding is in them."""
    before_s: float = 2.5
    """Near silence before an example, in seconds: as far as the encoder hears back from a window that ends
    with it. The background is no cold start, so a layer that saw one in every example would wait for one."""
    after_s: float = 0.6
    """Near silence after an example, in seconds."""
    fires_after: tuple[int, ...] = (-1, 1, 3)
    """Frames after the end of an example, and the encoder's look-ahead, at which the layer shall fire."""
    piece_s: float = 60.0
    """Own background is heard in pieces of this length, in seconds."""

    def __post_init__(self) -> None:
        above_zero("hearing", self, "components", "least_variance", "before_s", "after_s", "piece_s")
        if not self.fires_after or sorted(self.fires_after) != list(self.fires_after):
            raise ConfigError(
                f"hearing.fires_after: got {list(self.fires_after)}, allowed: one or more frames, in rising "
                "order"
            )


HEARING = HearingConfig()


class FrameSpace(NamedTuple):
    """Directions that the frames of speech are described in.

    Attributes:
        mean: (dimension,).
        basis: (dimension, component), which brings every component to deviation 1.
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def of(cls, features: Tensor, config: HearingConfig = HEARING) -> FrameSpace:
        """Return the principal components of (frames, dimension) features, the widest first."""
        normed = _normed(features)
        values, vectors = torch.linalg.eigh(torch.cov(normed.double().T))
        filled = int((values > config.least_variance * values.max()).sum())
        widest = values.argsort(descending=True)[: min(config.components, filled)]
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


class FirstLayersOutput(NamedTuple):
    """What the first layers of a recogniser make of audio.

    Attributes:
        frames: (time, dimension) of the layer that a fitted one is put on.
        phones: (time, 40) log-probabilities.
    """

    frames: Tensor
    phones: Tensor

    def as_background(self) -> FirstLayersOutput:
        """Return every ``STRIDE``-th frame, and the phones of those and of the frames between them."""
        whole = len(self.frames) // STRIDE * STRIDE
        return FirstLayersOutput(self.frames[:whole:STRIDE], self.phones[:whole])


class FirstLayers:
    """The part of a recogniser that a fitted detector keeps.

    Phones are heard by the middle output where no layer above it looks further ahead, else by the last.

    Args:
        recognizer: in eval mode; it is not changed.
    Attributes:
        encoder: cut below the output that hears phones.
        blocks: the layers from there to :data:`DEPTH`; none where the output is as high.
        output: that hears phones.
    """

    def __init__(self, recognizer: PhoneRecognizer) -> None:
        whole, middle = recognizer.encoder, recognizer.middle
        early = whole.config.lookahead <= middle
        height = middle if early else whole.info.num_layers
        self.encoder = truncate(whole, height)
        self.blocks = copy.deepcopy(whole.layers[height:DEPTH])
        self.output = copy.deepcopy(recognizer.middle_output if early else recognizer.output)

    @property
    def info(self) -> EncoderInfo:
        """What the encoder tells; no layer above it looks further ahead."""
        return self.encoder.info

    @torch.no_grad()
    def hear(self, waveform: np.ndarray) -> FirstLayersOutput:
        """Hear (samples,) float32 from a cold start, less what does not fill a frame."""
        whole = len(waveform) // self.info.hop_samples * self.info.hop_samples
        features, _ = self.encoder.run(
            torch.from_numpy(waveform[None, :whole]), self.encoder.initial_state(1)
        )
        phones = torch.log_softmax(self.output(features), dim=-1)
        features, _ = run_blocks(self.blocks, features, initial_states(self.blocks, 1))
        return FirstLayersOutput(features[0], phones[0])


def hear_each(layers: FirstLayers, waveforms: Iterable[np.ndarray]) -> Iterator[FirstLayersOutput]:
    """Hear (samples,) float32 each, in order, one to a thread: all threads on one take longer.

    Args:
        layers: that hear them.
        waveforms: made while others are heard, a few ahead.
    """

    def hear(waveform: np.ndarray) -> FirstLayersOutput:
        torch.set_num_threads(1)
        return layers.hear(waveform)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # here too: threads of one operation would wait for those of another
    try:
        run = Parallel(n_jobs=threads, prefer="threads", return_as="generator")
        yield from run(delayed(hear)(waveform) for waveform in waveforms)
    finally:
        torch.set_num_threads(threads)


class Examples(NamedTuple):
    """Recordings of a phrase as a detector sees them when it shall fire.

    Attributes:
        windows: (examples * fires_after, NUM_FRAMES, component) float32, those of one example in a row.
        phones: (examples, time, 40) log-probabilities that end with the last window; before an example
            that is shorter than others nothing is said.
    """

    windows: np.ndarray
    phones: Tensor


def examples_of(
    layers: FirstLayers,
    space: FrameSpace,
    examples: Iterable[np.ndarray],
    config: HearingConfig = HEARING,
) -> Examples:
    """Return what is seen of examples.

    Args:
        layers: that hear them.
        space: of the background.
        examples: (samples,) float32 each, ``before_s`` of near silence before the keyword and ``after_s``
            after.
        config: how they are heard.
    """
    tail, hop = seconds_to_samples(config.after_s), layers.info.hop_samples
    lookahead = layers.info.lookahead_samples // hop
    windows, phones = [], []
    for heard in hear_each(layers, (np.pad(example, (0, tail)) for example in examples)):
        frames = space.project(heard.frames)
        end = len(frames) - 2 * tail // hop
        ends = [end + lookahead + later for later in config.fires_after]
        windows += [frames[last - STRIDE * (NUM_FRAMES - 1) - 1 : last : STRIDE] for last in ends]
        phones.append(heard.phones[: ends[-1]])
    silence = torch.full((max(map(len, phones)), NUM_OUTPUTS), -WORST_FRAME)
    silence[:, BLANK] = 0.0
    joined = torch.stack([torch.cat([silence[: len(silence) - len(found)], found]) for found in phones])
    return Examples(torch.stack(windows).numpy(), joined)


def windows_within(
    layers: FirstLayers,
    space: FrameSpace,
    clips: Iterable[np.ndarray],
    config: HearingConfig = HEARING,
) -> np.ndarray:
    """Return every window that ends while a clip is spoken or soon after, for speech that shall not fire.

    Args:
        layers: that hear them.
        space: of the background.
        clips: as the examples of :func:`examples_of`.
        config: how they are heard.
    Returns:
        (windows, NUM_FRAMES, component) float32.
    """
    hop = layers.info.hop_samples
    first = seconds_to_samples(config.before_s) // hop
    windows = []
    for heard in hear_each(layers, clips):
        frames = space.project(heard.frames)
        for last in range(max(first, STRIDE * (NUM_FRAMES - 1) + 1) + STRIDE, len(frames) + 1, STRIDE):
            windows.append(frames[last - STRIDE * (NUM_FRAMES - 1) - 1 : last : STRIDE])
    return torch.stack(windows).numpy()


class Background(NamedTuple):
    """Speech without the keyword.

    Attributes:
        space: what its frames are described in.
        frames: (frames, component) float32, every ``STRIDE``-th.
        phones: (frames * STRIDE, 40) log-probabilities, or how far each is behind the likeliest.
    """

    space: FrameSpace
    frames: np.ndarray
    phones: Tensor

    @classmethod
    def shipped(cls) -> Background:
        """Return that of the package, for the shipped recogniser alone.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        space, frames = read_frames()
        phones = read_background(FRAME_PHONES)
        if len(phones) != STRIDE * len(frames):
            raise CheckpointError(
                f"{FRAME_PHONES}: does not belong to {FRAMES.name}; install the package again"
            )
        return cls(space, frames, phones)

    @classmethod
    def of(
        cls,
        layers: FirstLayers,
        space: FrameSpace | None,
        samples: np.ndarray,
        config: HearingConfig = HEARING,
    ) -> Background:
        """Return that of own speech.

        Args:
            layers: that hear it.
            space: of other background; None makes one from these frames.
            samples: (samples,) int16.
            config: how it is heard.
        Raises:
            ConfigError: there are too few to make a space from.
        """
        hop, piece = layers.info.hop_samples, seconds_to_samples(config.piece_s)
        starts = range(0, len(samples) - STRIDE * hop + 1, piece)
        waveforms = (to_float32(np.asarray(samples[start : start + piece])) for start in starts)
        pieces = [heard.as_background() for heard in hear_each(layers, waveforms)]
        num_frames = sum(len(heard.frames) for heard in pieces)
        if not num_frames or (space is None and num_frames < 2 * BLOCK_FRAMES):
            least_s = 2 * BLOCK_FRAMES * STRIDE * hop / SAMPLE_RATE
            raise ConfigError(
                f"`negatives`: {len(samples) / SAMPLE_RATE:.1f} s of speech; a layer on own `weights` is "
                f"fitted to at least {least_s:g} s, and with hours it misses less; give more"
            )
        frames = torch.cat([heard.frames for heard in pieces])
        space = space or FrameSpace.of(frames, config)
        return cls(space, space.project(frames).numpy(), torch.cat([heard.phones for heard in pieces]))

    def followed_by(self, other: Background) -> Background:
        """Return this background and another one, described in the same space.

        The end of this one is cut off, so that the other begins with the first half of blocks.
        """
        whole = len(self.frames) // (2 * BLOCK_FRAMES) * 2 * BLOCK_FRAMES
        frames = np.concatenate([self.frames[:whole], other.frames])
        return Background(self.space, frames, torch.cat([self.phones[: STRIDE * whole], other.phones]))

    def phone_logits(self, head: PhraseHead) -> np.ndarray:
        """Return (frames, keyword) of typed phrases, as :class:`PhraseWindowHead` adds them."""
        best, _ = held(background_logits(head, self.phones)[None])
        return best[0, ::STRIDE].numpy()
