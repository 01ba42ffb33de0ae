"""The int8 form of a student, in whole numbers: what the chip computes, step by step.

:func:`quantize` makes it from a trained :class:`kws.student.network.Student`; the exporter writes it, and its
probabilities are compared with those of the real runtime.

Source: TensorFlow Lite's 8-bit quantisation specification, tensorflow.org/lite/performance/quantization_spec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from kws.student.features import FEATURE_SCALE, FEATURE_ZERO
from kws.student.network import LOGIT_SCALE, LOGIT_ZERO, STRIDE, Convolution, Student, weight_scales

Rounding = Literal["computer", "chip"]
"""Whose kernels: those of TensorFlow Lite on a computer, or of TensorFlow Lite Micro on the chip."""

INT8 = (-128, 127)
"""Least and largest value."""

PROBABILITY_STEPS = 256
"""Steps of a probability from 0 to 1."""


@dataclass(frozen=True)
class QuantizedLayer:
    """A convolution over time in int8."""

    weight: np.ndarray
    """(output, kernel, input) int8; (output, kernel, 1) where each channel has a kernel of its own."""
    scales: np.ndarray
    """(output,) float32 of the weight; one for all outputs of the last layer."""
    bias: np.ndarray
    """(output,) int32, of scale ``input_scale * scales``."""
    depthwise: bool
    """Each channel has a kernel of its own."""
    stride: int
    """Inputs from one output to the next."""
    input_scale: float
    input_zero: int
    """An input is ``input_scale * (int8 - input_zero)``."""
    output_scale: float
    output_zero: int
    """Likewise."""

    @property
    def kernel(self) -> int:
        """Inputs that one output sees."""
        return int(self.weight.shape[1])

    @property
    def multiply_adds(self) -> int:
        """Multiplications for one output step."""
        return int(self.weight.size)

    def run(self, inputs: np.ndarray, rounding: Rounding) -> np.ndarray:
        """Return the outputs (time, output) int8 of a whole stream.

        Args:
            inputs: (time, input) int8, a multiple of ``stride``.
            rounding: see :func:`rescale`.
        """
        before = np.full((self.kernel - self.stride, inputs.shape[1]), self.input_zero, np.int8)
        padded = np.concatenate([before, inputs]).astype(np.float32) - self.input_zero
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.kernel, 0)[:: self.stride]
        weight = self.weight.astype(np.float32)
        if self.depthwise:  # whole numbers below 2 ** 24, which float32 adds without rounding
            sums = np.einsum("tck,ck->tc", windows, weight[:, :, 0])
        else:
            sums = windows.transpose(0, 2, 1).reshape(len(windows), -1) @ weight.reshape(len(weight), -1).T
        totals = sums.astype(np.int64) + self.bias
        factors = np.float64(self.input_scale) * self.scales.astype(np.float64) / self.output_scale
        outputs = rescale(totals, factors, rounding) + self.output_zero
        clipped: np.ndarray = np.clip(outputs, *INT8).astype(np.int8)
        return clipped


@dataclass(frozen=True)
class QuantizedStudent:
    """All layers of a student in int8, in order: first, depthwise and pointwise of each block, last."""

    layers: tuple[QuantizedLayer, ...]

    def probabilities(self, features: np.ndarray, rounding: Rounding = "computer") -> np.ndarray:
        """Return the probability of each step of a stream, in 256ths.

        Args:
            features: (time, channels) int8; what is over after the last whole step is left out.
            rounding: as the kernels of a computer round, or those of the chip.
        Returns:
            (steps,) uint8.
        """
        activation = features[: len(features) // STRIDE * STRIDE]
        for layer in self.layers:
            activation = layer.run(activation, rounding)
        logits = LOGIT_SCALE * (activation[:, 0].astype(np.float32) - LOGIT_ZERO)
        steps = np.round(PROBABILITY_STEPS / (1 + np.exp(-logits)))
        clipped: np.ndarray = np.clip(steps, 0, PROBABILITY_STEPS - 1).astype(np.uint8)
        return clipped

    @property
    def multiply_adds(self) -> int:
        """Multiplications for one step."""
        return sum(layer.multiply_adds for layer in self.layers)


def quantize(student: Student) -> QuantizedStudent:
    """Return the int8 form of a student whose ranges were set by :meth:`Student.observe`."""
    steps = [(FEATURE_SCALE, FEATURE_ZERO), *student.ranges, (LOGIT_SCALE, LOGIT_ZERO)]
    blocks = ((block.depthwise, block.pointwise) for block in student.blocks)
    modules = [student.first, *(layer for pair in blocks for layer in pair), student.last]
    layers = [
        _layer(module, given, made, module is student.last)
        for module, given, made in zip(modules, steps[:-1], steps[1:], strict=True)
    ]
    return QuantizedStudent(tuple(layers))


def rescale(totals: np.ndarray, factors: np.ndarray, rounding: Rounding) -> np.ndarray:
    """Multiply whole numbers by factors as the kernels do: by 31 bits, rounded, then by a shift, rounded.

    They differ where a number lies in the middle of two whole ones: kernels of the chip go away from zero,
    those of a computer go up.

    Args:
        totals: (time, output) int64 within 32 bits.
        factors: (output,) float64, above 0.
        rounding: ``chip`` or ``computer``.
    Source: ``MultiplyByQuantizedMultiplier`` of tflite-micro, ``kernels/internal/common.h``; the kernels of
        github.com/google/ruy.
    """
    mantissa, exponent = np.frexp(factors)
    multiplier = np.round(mantissa * (1 << 31)).astype(np.int64)
    shift = -exponent.astype(np.int64)
    scaled = totals << np.maximum(-shift, 0)
    shift = np.maximum(shift, 0)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    product = scaled * multiplier
    if rounding == "computer":
        risen: np.ndarray = (((product + (1 << 30)) >> 31) + half) >> shift
        return risen
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.sign(nudged) * (np.abs(nudged) >> 31)
    away: np.ndarray = (high + np.where(high < 0, np.maximum(half - 1, 0), half)) >> shift
    return away


def _layer(
    module: Convolution, given: tuple[float, int], made: tuple[float, int], dense: bool
) -> QuantizedLayer:
    """Return a layer in int8; a dense one has one scale for all of its weights."""
    weight = module.weight.detach()  # (output, input, kernel)
    scales = weight_scales(weight.flatten(1) if dense else weight).double()
    kernels = torch.round(weight.double() / scales[:, None, None]).clamp(-127, 127)
    bias = torch.round(module.bias.detach().double() / (scales * given[0]))
    return QuantizedLayer(
        weight=kernels.permute(0, 2, 1).numpy().astype(np.int8),
        scales=scales.numpy().astype(np.float32),
        bias=bias.numpy().astype(np.int32),
        depthwise=module.groups > 1,
        stride=module.stride[0],
        input_scale=given[0],
        input_zero=given[1],
        output_scale=made[0],
        output_zero=made[1],
    )
