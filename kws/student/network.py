"""The network of a microcontroller: causal depthwise-separable convolutions over micro features.

Its form is that of microWakeWord's models (MixConv without the mixing), so that the firmware has every
operator and the size that its ready models have. A step takes ``STRIDE`` features and gives one logit.
:class:`QuantizedStudent` of :mod:`kws.student.quantized` is its int8 form.

Source: github.com/kahrendt/microWakeWord, ``mixednet``; Tan and Le, MixConv, arXiv:1907.09595.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.errors import ConfigError
from kws.student.features import FEATURE_SCALE, FEATURE_ZERO, NUM_CHANNELS

WINDOW = 5
"""Steps whose probabilities the firmware averages."""

STRIDE = 3
"""Features of one step: 30 ms, as the ready models of ESPHome take them."""

LOGIT_SCALE, LOGIT_ZERO = 1 / 16, 0
"""The logit in int8: within 8 of zero, where the probability in 256 steps has long reached its ends."""

QMAX = 127
"""Largest int8 weight; -128 is not used, so that a scale holds for both signs."""


@dataclass(frozen=True, slots=True)
class StudentConfig:
    """Size of the network; the defaults need 36,000 multiply-adds a step and 45 kB."""

    channels: int = 64
    """Channels of every layer."""
    first_kernel: int = 5
    """Features that the first layer sees, of 10 ms."""
    kernels: tuple[int, ...] = (5, 9, 13, 21)
    """Steps that each block sees, of 30 ms."""
    last_steps: int = 5
    """Steps that the last layer sees, of 30 ms."""

    def __post_init__(self) -> None:
        if self.channels < 1 or self.first_kernel < STRIDE or self.last_steps < 1 or not self.kernels:
            raise ConfigError(
                f"student: got {self}; `channels` and `last_steps` are at least 1, `first_kernel` {STRIDE}"
            )
        if min(self.kernels) < 2:
            raise ConfigError(f"student.kernels: got {self.kernels}, expected 2 or more steps each")

    @property
    def receptive_field(self) -> int:
        """Steps of 30 ms that one logit sees."""
        return 1 + sum(kernel - 1 for kernel in self.kernels) + self.last_steps - 1


class Convolution(nn.Conv1d):
    """A convolution over time, always with a bias."""

    bias: nn.Parameter


class Block(nn.Module):
    """A depthwise convolution over time and a dense one over channels.

    Args:
        channels: of input and output.
        kernel: steps that it sees.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = Convolution(channels, channels, kernel, groups=channels)
        self.pointwise = Convolution(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)


class Student(nn.Module):
    """Micro features to logits.

    It is trained with batch normalisation, :meth:`fold` puts that into the weights, and :meth:`observe` then
    sets the ranges of the int8 form, after which :meth:`forward` rounds as that form does, with gradients.

    Args:
        config: its size.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.first = Convolution(NUM_CHANNELS, config.channels, config.first_kernel, stride=STRIDE)
        self.first_norm = nn.BatchNorm2d(config.channels)
        self.block_list = nn.ModuleList(Block(config.channels, kernel) for kernel in config.kernels)
        self.last = Convolution(config.channels, 1, config.last_steps)
        self.folded = False
        self.ranges: list[tuple[float, int]] = []
        self._seen: list[list[Tensor]] = []

    def freeze(self, layers: int) -> None:
        """Let the first layers stay as they are: the first convolution, and then whole blocks.

        Args:
            layers: how many.
        """
        for part in self._layers()[:layers]:
            for parameter in part.parameters():
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> Student:
        """Set training mode; frozen layers keep what normalisation has seen."""
        super().train(mode)
        for part in self._layers():
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        return self

    def _layers(self) -> list[nn.Module]:
        """Return what is frozen together, from the first on."""
        return [nn.ModuleList([self.first, self.first_norm]), *self.blocks]

    @property
    def blocks(self) -> list[Block]:
        """All blocks, in order."""
        return [block for block in self.block_list if isinstance(block, Block)]

    def forward(self, features: Tensor) -> Tensor:
        """Return a logit for each step.

        Args:
            features: (batch, time, ``NUM_CHANNELS``) int8 as the firmware gives them, or float of that value;
                ``time`` a multiple of ``STRIDE``. What came before counts as silence.
        Returns:
            logits (batch, time / ``STRIDE``).
        """
        return self._conv(self.last, self.hear(features)[-1])[:, 0, 0]

    def hear(self, features: Tensor) -> list[Tensor]:
        """Return what each block makes of features, (batch, channels, 1, steps) each.

        Args:
            features: as for :meth:`forward`.
        """
        activation = (features.float() - FEATURE_ZERO) * FEATURE_SCALE
        activation = activation.transpose(1, 2)[:, :, None]  # channels last in memory, which is faster
        activation = self._relu(self._conv(self.first, activation), self.first_norm, 0)
        heard = []
        for index, block in enumerate(self.blocks):
            activation = self._rounded(self._conv(block.depthwise, activation), 1 + 2 * index)
            activation = self._relu(self._conv(block.pointwise, activation), block.norm, 2 + 2 * index)
            heard.append(activation)
        return heard

    def fold(self) -> None:
        """Put batch normalisation into the weights before it; the outputs of evaluation stay the same."""
        pairs = [(self.first, self.first_norm), *((block.pointwise, block.norm) for block in self.blocks)]
        with torch.no_grad():
            for layer, norm in pairs:
                assert norm.running_var is not None and norm.running_mean is not None
                gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                layer.weight.mul_(gain[:, None, None])
                layer.bias.copy_((layer.bias - norm.running_mean) * gain + norm.bias)
        self.folded = True

    @torch.no_grad()
    def observe(self, batches: Sequence[Tensor]) -> None:
        """Set the range of each activation from what it is on real features; from here on it is rounded.

        Args:
            batches: features as for :meth:`forward`.
        """
        self.ranges, self._seen = [], [[] for _ in range(1 + 2 * len(self.blocks))]
        for batch in batches:
            self(batch)
        for index, extremes in enumerate(self._seen):
            low, high = torch.stack(extremes).mean(0).tolist()
            self.ranges.append(_range(low if index % 2 else 0.0, high))
        self._seen = []

    @torch.no_grad()
    def sharpen(self, gain: float) -> None:
        """Multiply all logits by a factor; the whole numbers of the weights stay the same."""
        self.last.weight.mul_(gain)
        self.last.bias.mul_(gain)

    def _conv(self, layer: Convolution, activation: Tensor) -> Tensor:
        """Apply a layer to (batch, channel, 1, time) after silence, with rounded weights where it is int8."""
        padded = functional.pad(activation, (layer.kernel_size[0] - layer.stride[0], 0))
        weight = layer.weight
        if self.ranges:
            dense = layer is self.last  # one scale for all of its weights
            weight = _round_weight(weight.flatten(1) if dense else weight).view_as(weight)
        stride = (1, layer.stride[0])
        return functional.conv2d(padded, weight[:, :, None], layer.bias, stride, groups=layer.groups)

    def _relu(self, activation: Tensor, norm: nn.BatchNorm2d, index: int) -> Tensor:
        """Normalise, cut below zero and round."""
        return self._rounded(functional.relu(activation if self.folded else norm(activation)), index)

    def _rounded(self, activation: Tensor, index: int) -> Tensor:
        """Return what int8 keeps of an activation."""
        if self._seen:
            self._seen[index].append(_extremes(activation))
        if not self.ranges:
            return activation
        return torch.fake_quantize_per_tensor_affine(activation, *self.ranges[index], -128, 127)


def weight_scales(weight: Tensor) -> Tensor:
    """Return the int8 scale of each output channel of a weight (output, …), above zero."""
    return weight.detach().flatten(1).abs().amax(1).clamp(min=1e-8) / QMAX


def _round_weight(weight: Tensor) -> Tensor:
    """Return what int8 keeps of a weight (output, …)."""
    zeros = torch.zeros(len(weight), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, weight_scales(weight), zeros, 0, -QMAX, QMAX)


def _extremes(activation: Tensor) -> Tensor:
    """Return the values between which all but one of 5,000 of an activation lie on each side, (2,)."""
    flat = activation.flatten()
    few = max(1, flat.numel() // 5_000)
    return torch.stack([-torch.topk(-flat, few).values[-1], torch.topk(flat, few).values[-1]])


def _range(low: float, high: float) -> tuple[float, int]:
    """Return scale and zero point of int8 for values from ``low`` to ``high``; zero is one of them."""
    low, high = min(low, 0.0), max(high, 1e-3)
    scale = torch.tensor((high - low) / 255).item()  # as float32 holds it, which the file does
    return scale, int(round(-128 - low / scale))
