"""Waveform to log-mel: one frame function, used in training, streaming and inside the exported graph.

The discrete Fourier transform is a matrix product, so that the graph needs no FFT operator and gives the same
numbers in torch and in onnxruntime. It is taken about the middle of the window, where cosines are even and
sines odd: each then needs half of the samples, folded. Called by :mod:`kws.encoders.sources.embedded`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from kws.audio import SAMPLE_RATE

HOP_SAMPLES = 160  # 10 ms
WINDOW_SAMPLES = 400  # 25 ms
MIDDLE = WINDOW_SAMPLES // 2
FFT_SIZE = 512
HISTORY_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES  # 240: what a frame needs from before its hop
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_SAMPLES  # 100
assert HOP_SAMPLES * FRAMES_PER_SECOND == SAMPLE_RATE
LOW_HZ, HIGH_HZ = 60.0, 7600.0
POWER_FLOOR = 1e-6
"""Added to mel power before the logarithm: about the noise of a quiet 16-bit recording."""


class LogMel(nn.Module):
    """Log-mel spectrogram whose frame t ends at sample ``(t + 1) * HOP_SAMPLES`` and sees nothing later.

    Args:
        num_mels: number of mel bands between 60 and 7600 Hz (HTK scale).
    """

    def __init__(self, num_mels: int = 64) -> None:
        super().__init__()
        self.num_mels = num_mels
        bin_hz = SAMPLE_RATE / FFT_SIZE
        first, last = math.ceil(LOW_HZ / bin_hz), math.floor(HIGH_HZ / bin_hz)
        window = torch.hann_window(WINDOW_SAMPLES, periodic=True, dtype=torch.float64)
        after = torch.arange(MIDDLE, dtype=torch.float64)  # samples from the middle, where the window is 1
        angle = 2 * math.pi / FFT_SIZE * after[:, None] * torch.arange(first, last + 1, dtype=torch.float64)
        half = window[MIDDLE:, None].clone()
        half[0] /= 2  # the middle is on both sides of the fold
        banks = melscale_fbanks(FFT_SIZE // 2 + 1, LOW_HZ, HIGH_HZ, num_mels, SAMPLE_RATE)
        self.cosine: Tensor
        self.sine: Tensor
        self.mel: Tensor
        self.register_buffer("cosine", (half * angle.cos()).float(), persistent=False)  # (200, bins)
        self.register_buffer("sine", (half * angle.sin()).float(), persistent=False)
        self.register_buffer("mel", banks[first : last + 1].contiguous(), persistent=False)  # (bins, mel)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(num_mels))
        self.register_buffer("scale", torch.ones(num_mels))

    def initial_state(self, batch: int) -> Tensor:
        """Return (batch, 240) zeros: silence before the start."""
        return self.mel.new_zeros(batch, HISTORY_SAMPLES)

    def silence(self) -> Tensor:
        """Return the (mel,) frame of digital silence."""
        return (math.log(POWER_FLOOR) - self.mean) * self.scale

    def forward(self, waveform: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute normalised log-mel frames.

        Args:
            waveform: (batch, samples) float32 in [-1, 1]; a whole number of hops.
            state: (batch, 240) float32, the samples before; None is silence.
        Returns:
            features: (batch, samples // 160, mel) float32.
            state: (batch, 240) float32 for the next call.
        """
        if state is None:
            state = self.initial_state(waveform.shape[0])
        signal = torch.cat([state, waveform], dim=1)
        next_state = signal[:, -HISTORY_SAMPLES:]
        # a window is the last half hop of one block, then two whole blocks: 80 + 160 + 160 samples
        half = 2 * HOP_SAMPLES - HISTORY_SAMPLES
        blocks = nn.functional.pad(signal, (half, 0)).reshape(waveform.shape[0], -1, HOP_SAMPLES)
        first, second = blocks[:, 1:-1], blocks[:, 2:]
        center = MIDDLE - half  # where in the first of them
        later = torch.cat([first[:, :, center:], second], dim=2)  # (batch, time, 200), away from it
        backwards = blocks.flip(2)
        earlier = torch.cat(  # without the first sample, where the window is 0
            [backwards[:, 1:-1, HOP_SAMPLES - 1 - center :], backwards[:, :-2, : half - 1]], dim=2
        )
        real = (later + earlier) @ self.cosine
        imaginary = (later - earlier) @ self.sine
        power = (real.square() + imaginary.square()) @ self.mel
        return (torch.log(power + POWER_FLOOR) - self.mean) * self.scale, next_state
