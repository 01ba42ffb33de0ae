"""Whisper's encoder, as OpenAI and the model hub publish its weights, streamed over a sliding window.

Registered by :mod:`kws.encoders.registry` as ``whisper_tiny``, ``whisper_base`` and so on. The decoder is
left out, and so is the norm behind the last layer, so that every depth gives what a layer gives. Whisper
fills 30 s up with silence; here attention leaves out all frames but those of the audio.
Source: Radford et al., arXiv:2212.04356; openai/whisper and ``WhisperEncoder`` of Hugging Face transformers.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from kws.audio import SAMPLE_RATE
from kws.encoders.base import EncoderInfo
from kws.encoders.sliding import CHUNK_SAMPLES, WINDOW_SAMPLES, SlidingEncoder
from kws.errors import AudioError, ConfigError

MEL_HOP_SAMPLES = 160  # 10 ms
MEL_WINDOW_SAMPLES = 400  # 25 ms
MEL_STRIDE = 2
HOP_SAMPLES = MEL_HOP_SAMPLES * MEL_STRIDE  # 20 ms
MAX_FRAMES = 1500  # 30 s: the places that Whisper was trained with
MAX_S = MAX_FRAMES * HOP_SAMPLES // SAMPLE_RATE
POWER_FLOOR = 1e-10
DYNAMIC_RANGE = 8.0
"""Decades of power below the loudest band of a recording that are told apart."""


@dataclass(frozen=True, slots=True)
class WhisperShape:
    """Sizes of an encoder: those of ``ModelDimensions`` in openai/whisper."""

    dimension: int
    """Features per frame."""
    num_layers: int
    """Transformer layers."""
    num_heads: int
    """Attention heads of each; they divide ``dimension``."""
    num_mels: int = 80
    """Mel bands."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ConfigError(
                    f"encoder_shape.{field.name}: got {getattr(self, field.name)}, allowed: 1 or more"
                )
        if self.dimension % (2 * self.num_heads):
            raise ConfigError(
                f"encoder_shape.dimension: got {self.dimension}, allowed: a multiple of twice "
                f"num_heads ({2 * self.num_heads})"
            )


class WhisperMel(nn.Module):
    """Whisper's log-mel: 80 or 128 Slaney bands, in steps of 10 ms, relative to the loudest band of a row.

    The discrete Fourier transform is a convolution, so that a graph needs no FFT operator. Frame m is about
    sample ``160 * m``, as in Whisper, whose edges are mirrored where these are silent.

    Args:
        num_mels: number of bands up to 8 kHz.
    """

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        window = torch.hann_window(MEL_WINDOW_SAMPLES, dtype=torch.float64)
        sample = torch.arange(MEL_WINDOW_SAMPLES, dtype=torch.float64)
        bins = torch.arange(MEL_WINDOW_SAMPLES // 2 + 1, dtype=torch.float64)
        phase = 2 * math.pi / MEL_WINDOW_SAMPLES * bins[:, None] * sample
        dft = torch.cat([phase.cos(), phase.sin()]) * window
        banks = melscale_fbanks(
            len(bins), 0.0, SAMPLE_RATE / 2, num_mels, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.dft: Tensor
        self.mel: Tensor
        self.register_buffer("dft", dft.float()[:, None], persistent=False)  # (2 * bins, 1, window)
        self.register_buffer("mel", banks, persistent=False)  # (bins, mel)

    def forward(self, waveform: Tensor, valid: Tensor) -> Tensor:
        """(batch, 160 * n) samples and the mask (batch, n) of valid frames to (batch, n, mel)."""
        middle = MEL_WINDOW_SAMPLES // 2
        padded = nn.functional.pad(waveform, (middle, middle - MEL_HOP_SAMPLES))
        spectrum = nn.functional.conv1d(padded[:, None], self.dft, stride=MEL_HOP_SAMPLES).transpose(1, 2)
        real, imaginary = spectrum.chunk(2, dim=2)
        power = (real.square() + imaginary.square()) @ self.mel  # (batch, n, mel)
        level = power.clamp(min=POWER_FLOOR).log10()
        loudest = level.masked_fill(~valid[:, :, None], math.log10(POWER_FLOOR)).amax(
            dim=(1, 2), keepdim=True
        )
        return (torch.maximum(level, loudest - DYNAMIC_RANGE) + 4) / 4


class WhisperStem(nn.Module):
    """Two convolutions over the mel bands, the second of which halves the rate, and the places of frames."""

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.mel = WhisperMel(shape.num_mels)
        self.conv1 = nn.Conv1d(shape.num_mels, shape.dimension, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.dimension, shape.dimension, 3, stride=MEL_STRIDE, padding=1)
        self.places: Tensor
        self.register_buffer("places", _sinusoids(shape.dimension), persistent=False)  # (1500, dimension)

    def forward(self, waveform: Tensor, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 320 * n) samples to (batch, n, dimension) and the mask (batch, n) of the valid frames."""
        frame = torch.arange(waveform.shape[1] // HOP_SAMPLES, device=waveform.device)
        valid = (frame >= first[:, None]) & (frame < last[:, None])  # (batch, n)
        fine = valid[:, :, None].expand(-1, -1, MEL_STRIDE).flatten(1)  # (batch, mel frame)
        heard = fine[:, :, None].expand(-1, -1, MEL_HOP_SAMPLES).flatten(1)  # (batch, samples)
        features = self.mel(waveform * heard, fine) * fine[:, :, None]
        features = nn.functional.gelu(self.conv1(features.transpose(1, 2))) * fine[:, None]
        features = nn.functional.gelu(self.conv2(features)).transpose(1, 2)  # (batch, n, dimension)
        place = (frame - first[:, None]).clamp(min=0, max=MAX_FRAMES - 1)
        return features + self.places[place], valid


def _sinusoids(dimension: int) -> Tensor:
    """Return (1500, dimension): sines, then cosines, of wavelengths that grow to 10,000 * 2 pi frames."""
    steps = math.log(10_000) / (dimension // 2 - 1) if dimension > 2 else 0.0
    rates = torch.exp(-steps * torch.arange(dimension // 2, dtype=torch.float64))
    angle = torch.arange(MAX_FRAMES, dtype=torch.float64)[:, None] * rates
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


class WhisperAttention(nn.Module):
    """Self-attention of every valid frame to every valid frame; keys have no bias."""

    def __init__(self, dimension: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dimension, dimension)
        self.k_proj = nn.Linear(dimension, dimension, bias=False)
        self.v_proj = nn.Linear(dimension, dimension)
        self.out_proj = nn.Linear(dimension, dimension)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """(batch, n, dimension), attending where ``mask`` (batch, 1, n, n) is True."""
        query, key, value = (
            torch.unflatten(project(features), 2, (self.num_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return mixed


class WhisperLayer(nn.Module):
    """One transformer layer, norms first; module names are those of the hub's files."""

    def __init__(self, dimension: int, num_heads: int) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(dimension)
        self.self_attn = WhisperAttention(dimension, num_heads)
        self.final_layer_norm = nn.LayerNorm(dimension)
        self.fc1 = nn.Linear(dimension, 4 * dimension)
        self.fc2 = nn.Linear(4 * dimension, dimension)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """(batch, n, dimension) to the same; ``mask`` as for :class:`WhisperAttention`."""
        features = features + self.self_attn(self.self_attn_layer_norm(features), mask)
        inner = nn.functional.gelu(self.fc1(self.final_layer_norm(features)))
        output: Tensor = features + self.fc2(inner)
        return output


class WhisperEncoder(SlidingEncoder):
    """Whisper's encoder without its last norm, streamed over a sliding window.

    Args:
        name: its name in the registry.
        shape: its sizes.
        source: where its weights come from.
    """

    stem: WhisperStem

    def __init__(self, name: str, shape: WhisperShape, source: str) -> None:
        super().__init__()
        self.name, self.sizes, self.source = name, shape, source
        self.stem = WhisperStem(shape)
        self.layers = nn.ModuleList(
            WhisperLayer(shape.dimension, shape.num_heads) for _ in range(shape.num_layers)
        )
        self.info = self.describe()

    def shape(self) -> dict[str, Any]:
        """See :meth:`Encoder.shape`."""
        return asdict(self.sizes)

    def describe(self) -> EncoderInfo:
        """See :meth:`Encoder.describe`."""
        return EncoderInfo(
            name=self.name,
            hop_samples=HOP_SAMPLES,
            receptive_field_samples=WINDOW_SAMPLES,
            lookahead_samples=CHUNK_SAMPLES - HOP_SAMPLES,
            dimension=self.sizes.dimension,
            num_layers=len(self.layers),
            streaming=False,
            license="MIT",
            source=self.source,
            window_samples=WINDOW_SAMPLES,
            chunk_samples=CHUNK_SAMPLES,
        )

    def encode(self, waveform: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """See :meth:`SlidingEncoder.encode`.

        Raises:
            AudioError: rows are longer than the 30 s that Whisper has places for.
        """
        if waveform.shape[1] > MAX_FRAMES * HOP_SAMPLES:
            raise AudioError(
                f"{self.name} hears at most {MAX_S} s at once, got {waveform.shape[1] / SAMPLE_RATE:.1f} s; "
                "cut the recording, or stream it"
            )
        features: Tensor
        features, valid = self.stem(waveform, first, last)
        # a frame that is not valid attends to itself alone, so that its row of weights is no 0 / 0
        alone = torch.eye(valid.shape[1], dtype=torch.bool, device=valid.device)
        mask = (valid[:, None, None, :] & valid[:, None, :, None]) | alone
        for layer in self.layers:
            features = layer(features, mask)
        return features


def build(name: str, usual: WhisperShape, source: str, shape: Mapping[str, Any]) -> WhisperEncoder:
    """Return the architecture of :meth:`WhisperEncoder.shape` with random weights.

    Args:
        name: its name in the registry.
        usual: the sizes of that name.
        source: where its weights come from.
        shape: sizes that differ.
    Raises:
        ConfigError: an unknown key, or sizes that do not fit each other.
    """
    known = [field.name for field in fields(WhisperShape)]
    for key in shape:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1) or known
            raise ConfigError(
                f"encoder_shape.{key}: unknown for encoder {name!r}; nearest known: {', '.join(near)}"
            )
    return WhisperEncoder(name, WhisperShape(**{**asdict(usual), **shape}), source)
