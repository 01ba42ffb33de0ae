"""Streaming for encoders whose layers see a whole utterance: run them again over a sliding window.

        heard so far  ···|<------------- window ------------->|
                         [ history, from the state   |  chunk ]   the frames of the chunk are returned

A frame of the stream equals the same frame of :meth:`SlidingEncoder.forward` on the last ``window_samples``
up to the end of its chunk (to 1e-5; in a younger stream, on all that was heard), and does not depend on how
the stream was cut into whole chunks. It differs from the frame of a forward over the whole recording,
because it sees nothing after its chunk and nothing before its window, by at most :data:`STREAM_BOUND`.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from kws.encoders.base import Encoder
from kws.errors import AudioError
from kws.structs import EncoderOutput, StreamState

CHUNK_SAMPLES = 2560
"""160 ms: the whole window is computed once a chunk, so half as long would cost twice as much."""
WINDOW_SAMPLES = 24000
"""1.5 s: longer than a wake phrase."""
STREAM_BOUND = 0.4
"""Largest accepted root mean square of stream minus whole recording, as a share of the features' own.

Measured on 2 s of noise and of a synthetic voice, random weights and two layers: WAV2VEC2_BASE 0.17 and
0.31 (0.18 and 0.32 with six), WAVLM_BASE 0.23 and 0.34, WAV2VEC2_LARGE_LV60K 0.18 and 0.19. BASE models
differ more, as their first convolution is normalised over the time that is heard. Pretrained weights were
not at hand, so thresholds must be chosen on streamed scores.
"""
ROWS = 8
"""Windows of a row that are encoded together: a long recording fills an accelerator, memory stays bounded."""


class SlidingEncoder(Encoder):
    """An encoder that gives :meth:`encode` and is streamed over a window of ``info.window_samples``.

    State: the samples before the chunk (batch, window - chunk), and how many frames of the window hold audio
    (batch, 1), so that nothing is attended to or normalised over before the stream began.
    """

    @abstractmethod
    def encode(self, waveform: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Encode whole rows, each as if it held the frames ``first`` to ``last - 1`` alone.

        Args:
            waveform: (batch, samples) float32 in [-1, 1], a whole number of hops.
            first: (batch,) int64, first valid frame.
            last: (batch,) int64, first frame past the valid ones; above ``first``.
        Returns:
            (batch, samples // hop_samples, feature); what lies outside the valid frames means nothing.
        """

    def initial_state(self, batch: int) -> StreamState:
        """See :meth:`Encoder.initial_state`."""
        zeros = next(self.parameters()).new_zeros
        return [zeros(batch, self.info.window_samples - self.info.chunk_samples), zeros(batch, 1)]

    def run(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Encoder.run`; a last piece shorter than a chunk is a chunk of its own."""
        info, samples = self.info, waveform.shape[1]
        chunk, window = info.chunk_samples, info.window_samples
        history, heard = state
        signal = torch.cat([history, waveform], dim=1)
        outputs = []
        for start in range(0, samples - chunk + 1, chunk * ROWS):
            count = min(ROWS, (samples - start) // chunk)
            starts = range(start, start + count * chunk, chunk)
            windows = torch.cat([signal[:, first : first + window] for first in starts])
            ages = torch.cat([heard + (first + chunk) // info.hop_samples for first in starts])
            newest = self._newest(windows, ages, chunk)  # (count * batch, frames, feature)
            outputs.append(torch.cat(newest.chunk(count), dim=1))
        if rest := samples % chunk:
            outputs.append(self._newest(signal[:, -window:], heard + samples // info.hop_samples, rest))
        heard = (heard + samples // info.hop_samples).clamp(max=window // info.hop_samples)
        return torch.cat(outputs, dim=1), [signal[:, samples:], heard]

    def _newest(self, windows: Tensor, heard: Tensor, samples: int) -> Tensor:
        """Encode windows (batch, samples), ``heard`` (batch, 1) frames of them audio; keep the last."""
        frames = windows.shape[1] // self.info.hop_samples
        first = (frames - heard[:, 0]).clamp(min=0).long()
        features = self.encode(windows, first, torch.full_like(first, frames))
        return features[:, frames - samples // self.info.hop_samples :]

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode whole waveforms at once, every frame seeing its whole row, as in pretraining; for training.

        Args:
            waveform: (batch, samples) float32 in [-1, 1] at ``SAMPLE_RATE``.
            lengths: (batch,) int64, valid samples per row, each at least one hop.
        Returns:
            features (batch, time, feature) and the valid frames per row; padding changes no valid frame.
        Raises:
            AudioError: a row is shorter than one hop.
        """
        hop = self.info.hop_samples
        if int(lengths.min()) < hop:
            shortest = int(lengths.min())
            raise AudioError(
                f"audio of {shortest} samples is shorter than one hop of {hop}; give longer audio"
            )
        padded = nn.functional.pad(waveform, (0, -waveform.shape[1] % hop))
        frames = torch.div(lengths, hop, rounding_mode="floor").to(waveform.device)
        return EncoderOutput(self.encode(padded, torch.zeros_like(frames), frames), frames)
