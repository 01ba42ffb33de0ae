"""The encoder in the wheel: log-mel, 4x subsampling, causal blocks (DESIGN §5).

What ships is stacked from separable convolution blocks; :mod:`kws.encoders.blocks` has other kinds.
Pretrained with phone CTC by :mod:`kws.pretraining.loop`; its weights and model card lie in
``kws/assets/embedded``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn

from kws import frontend
from kws.encoders.base import Encoder, EncoderInfo
from kws.encoders.blocks.attention import AttentionBlock
from kws.encoders.blocks.base import ResidualBlock, initial_states, run_blocks
from kws.encoders.blocks.gated import GatedBlock
from kws.encoders.blocks.separable import SeparableBlock
from kws.encoders.blocks.squeeze import SqueezeBlock
from kws.encoders.stems import Conv2dStem, StackedStem
from kws.errors import ConfigError
from kws.structs import StreamState

SUBSAMPLING = 4
HOP_SAMPLES = SUBSAMPLING * frontend.HOP_SAMPLES  # 640 samples, 40 ms
BlockKind = Literal["separable", "gated", "squeeze", "attention"]


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """Shape of the embedded encoder."""

    num_mels: int = 64
    """Mel bands of the front end."""
    dimension: int = 192
    """Features per 40 ms frame, the same after every layer."""
    num_layers: int = 10
    """Residual blocks."""
    kernel: int = 9
    """Frames that one depthwise convolution sees (40 ms each)."""
    expansion: int = 2
    """Width of a block's inner layer, as a multiple of ``dimension``; a gated one has two thirds of it and
    as many weights."""
    drop: float = 0.1
    """Probability that a row skips a block in training (stochastic depth); 0 in eval mode."""
    stem_channels: tuple[int, ...] = ()
    """Filters of the two steps of a stem that convolves over time and mel bands; empty: each step is one
    matrix product over stacked frames."""
    lookahead: int = 0
    """Blocks, from the first, that wait one frame (40 ms) to see what comes after."""
    block: BlockKind = "separable"
    """Kind of every ``block_every``-th block; the others are separable."""
    block_every: int = 1
    """See ``block``; 2 or more with ``attention``, which has no inner layer of its own."""
    squeeze_frames: int = 25
    """Time constant of the running mean of a ``squeeze`` block, in frames of 40 ms."""
    attention_heads: int = 4
    """Parts of the features that attend by themselves; divides ``dimension``."""
    attention_left: int = 32
    """Frames of 40 ms before its own that a frame sees in an ``attention`` block."""

    def __post_init__(self) -> None:
        counts = ("num_mels", "dimension", "num_layers", "kernel", "expansion", "squeeze_frames")
        for name in (*counts, "block_every", "attention_heads", "attention_left"):
            if getattr(self, name) < 1:
                raise ConfigError(f"encoder.{name}: got {getattr(self, name)}, allowed: 1 or more")
        if self.stem_channels and (len(self.stem_channels) != 2 or min(self.stem_channels) < 1):
            raise ConfigError(
                f"encoder.stem_channels: got {list(self.stem_channels)}, allowed: two numbers above 0 or none"
            )
        if self.stem_channels and self.num_mels % 4:
            raise ConfigError(
                f"encoder.num_mels: got {self.num_mels}, allowed with encoder.stem_channels: multiples of 4"
            )
        if not 0 <= self.drop < 1:
            raise ConfigError(f"encoder.drop: got {self.drop}, allowed: 0 up to but not including 1")
        if not 0 <= self.lookahead <= self.num_layers:
            raise ConfigError(
                f"encoder.lookahead: got {self.lookahead}, allowed: 0 to {self.num_layers} (num_layers)"
            )
        if self.lookahead and self.kernel < 2:
            raise ConfigError("encoder.kernel: got 1, allowed with encoder.lookahead: 2 or more")
        if self.block not in get_args(BlockKind):
            raise ConfigError(f"encoder.block: got {self.block!r}, allowed: {', '.join(get_args(BlockKind))}")
        least = 2 if self.block == "attention" else 1
        if self.block != "separable" and not least <= self.block_every <= self.num_layers:
            raise ConfigError(
                f"encoder.block_every: got {self.block_every}, allowed with block {self.block!r}: {least} to "
                f"{self.num_layers} (num_layers)"
            )
        if self.block == "attention" and self.dimension % self.attention_heads:
            raise ConfigError(
                f"encoder.attention_heads: got {self.attention_heads}, allowed: divisors of "
                f"{self.dimension} (dimension)"
            )


def build_block(config: EmbeddedConfig, number: int) -> ResidualBlock:
    """Return block ``number``, counted from 0, with random weights."""
    lookahead = int(number < config.lookahead)
    kind = "separable" if (number + 1) % config.block_every else config.block
    if kind == "attention":
        return AttentionBlock(
            config.dimension, config.attention_heads, config.attention_left, config.drop, lookahead
        )
    shape = (config.dimension, config.kernel, config.expansion, config.drop, lookahead)
    if kind == "squeeze":
        return SqueezeBlock(*shape, frames=config.squeeze_frames)
    return GatedBlock(*shape) if kind == "gated" else SeparableBlock(*shape)


class EmbeddedEncoder(Encoder):
    """Streaming phone-CTC encoder; its look-ahead is a wait, so no frame depends on what comes after it.

    Args:
        config: its shape.
        source: where its weights come from, for :class:`EncoderInfo`.
        license: licence of the weights.
    """

    stem: StackedStem | Conv2dStem

    def __init__(
        self, config: EmbeddedConfig, *, source: str = "random weights", license: str = "Apache-2.0"
    ) -> None:
        super().__init__()
        self.config = config
        self.frontend = frontend.LogMel(config.num_mels)
        self.stem = (
            Conv2dStem(config.num_mels, config.dimension, config.stem_channels)
            if config.stem_channels
            else StackedStem(config.num_mels, config.dimension)
        )
        self.layers = nn.ModuleList(build_block(config, number) for number in range(config.num_layers))
        self.source, self.license = source, license
        self.info = self.describe()

    def with_random_weights(self) -> EmbeddedEncoder:
        """Return the same architecture, freshly initialised; the front end keeps its band statistics."""
        fresh = EmbeddedEncoder(self.config, license=self.license)
        fresh.frontend.load_state_dict(self.frontend.state_dict())
        return fresh

    def shape(self) -> dict[str, Any]:
        """See :meth:`Encoder.shape`."""
        return dataclasses.asdict(self.config)

    def describe(self) -> EncoderInfo:
        """See :meth:`Encoder.describe`."""
        config = self.config
        # in 10 ms frames: the stem's steps of kernel 4 reach 3 frames and 3 * 2 frames back
        reach = 3 + 3 * 2 + sum(layer.memory_frames for layer in self._blocks()) * SUBSAMPLING
        return EncoderInfo(
            name="embedded",
            hop_samples=HOP_SAMPLES,
            receptive_field_samples=reach * frontend.HOP_SAMPLES + frontend.WINDOW_SAMPLES,
            lookahead_samples=min(config.lookahead, len(self.layers)) * HOP_SAMPLES,
            dimension=config.dimension,
            num_layers=len(self.layers),
            streaming=True,
            license=self.license,
            source=self.source,
        )

    def initial_state(self, batch: int) -> StreamState:
        """Return zeros for the front end, the stem's two steps and every layer."""
        layers = initial_states(self.layers, batch)
        return [self.frontend.initial_state(batch), *self.stem.initial_state(batch), *layers]

    def run(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Encoder.run`."""
        features, samples = self.frontend(waveform, state[0])
        features, states = self.encode(features, state[1:])
        return features, [samples, *states]

    def encode(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Encode log-mel (batch, 4 * n, mel) to (batch, n, dimension); ``state`` lacks the front end's."""
        features, of_stem = self.stem(features, state[:2])
        features, of_layers = run_blocks(self.layers, features, state[2:])
        return features, [*of_stem, *of_layers]

    def _blocks(self) -> Iterator[ResidualBlock]:
        for layer in self.layers:
            assert isinstance(layer, ResidualBlock)
            yield layer
