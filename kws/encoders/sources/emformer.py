"""The Emformer encoder of torchaudio's RNN-T recogniser: attention over segments, with exact streaming state.

Registered by :mod:`kws.encoders.registry` as ``emformer_rnnt_base_librispeech``. The modules and weights are
torchaudio's; the walk through them is written here with a state of fixed shape, so that it can be exported.

        cached keys (30 frames) | segment (4 frames of 40 ms) | right context (1 frame)

A segment waits for its right context, so frame t describes the audio 40 ms before its end. Mel bands have no
floor, so the rounding of a loud band shows in a quiet one: features differ by up to 8e-5 between batch sizes.
Source: Shi et al., arXiv:2010.10759; ``torchaudio.models.Emformer`` (BSD-2-Clause).
"""

from __future__ import annotations

import difflib
import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio import models, pipelines
from torchaudio.functional import melscale_fbanks

from kws.audio import SAMPLE_RATE
from kws.encoders.base import Encoder, EncoderInfo
from kws.encoders.sources.torchaudio_bundle import read_state_dict, unreachable
from kws.errors import CheckpointError, ConfigError
from kws.structs import EncoderOutput, StreamState
from kws.weights import load_strictly

NAME = "emformer_rnnt_base_librispeech"
BUNDLE = pipelines.EMFORMER_RNNT_BASE_LIBRISPEECH
STATISTICS = Path(BUNDLE._global_stats_path).name
"""Mean and scale of the mel bands, a second file that torchaudio downloads; it lies beside local weights."""
MEL_HOP_SAMPLES, MEL_WINDOW_SAMPLES, NUM_MELS = (
    BUNDLE.hop_length,
    BUNDLE.n_fft,
    BUNDLE.n_mels,
)  # 10 ms, 25 ms, 80
PARAMS: dict[str, Any] = {
    "segment_length": 16,
    "right_context_length": 4,
    "time_reduction_input_dim": 128,
    "time_reduction_stride": 4,
    "transformer_num_heads": 8,
    "transformer_ffn_dim": 2048,
    "transformer_num_layers": 20,
    "transformer_dropout": 0.1,
    "transformer_activation": "gelu",
    "transformer_left_context_length": 30,
    "encoding_dim": 1024,
}
"""Architecture of ``torchaudio.models.emformer_rnnt_base``, as far as the encoder is concerned."""
_URL = "https://download.pytorch.org/torchaudio/"
_GAIN = (
    float(torch.iinfo(torch.int16).max) ** 2
)  # torchaudio's pipeline was trained on the power of 16-bit samples


class GlobalMel(nn.Module):
    """Mel power with torchaudio's piecewise logarithm and the statistics of the training set.

    Frame t ends at sample ``(t + 1) * 160``, after 240 samples of history; torchaudio's 40 samples later.
    """

    def __init__(self) -> None:
        super().__init__()
        angle = 2 * math.pi / MEL_WINDOW_SAMPLES * torch.arange(MEL_WINDOW_SAMPLES, dtype=torch.float64)
        phase = torch.arange(MEL_WINDOW_SAMPLES // 2 + 1)[:, None] * angle
        window = torch.hann_window(MEL_WINDOW_SAMPLES, dtype=torch.float64)
        dft = torch.cat([phase.cos(), phase.sin()]) * window
        mel = melscale_fbanks(len(phase), 0.0, SAMPLE_RATE / 2, NUM_MELS, SAMPLE_RATE)
        self.dft: Tensor
        self.mel: Tensor
        self.mean: Tensor
        self.invstddev: Tensor
        self.register_buffer("dft", dft.float()[:, None], persistent=False)  # (2 * bins, 1, window)
        self.register_buffer("mel", mel, persistent=False)  # (bins, mel)
        self.register_buffer("mean", torch.zeros(NUM_MELS))
        self.register_buffer("invstddev", torch.ones(NUM_MELS))

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, 240 + 160 * n) samples to (batch, n, mel)."""
        spectrum = nn.functional.conv1d(waveform[:, None], self.dft, stride=MEL_HOP_SAMPLES).transpose(1, 2)
        real, imaginary = spectrum.chunk(2, dim=2)
        power = _GAIN * ((real.square() + imaginary.square()) @ self.mel)  # (batch, n, mel)
        loud = power > math.e
        return (torch.where(loud, power.clamp(min=math.e).log(), power / math.e) - self.mean) * self.invstddev


class FrameStackingStem(nn.Module):
    """Projection of the mel bands, then four 10 ms frames stacked to one of 40 ms."""

    def __init__(self, projection: nn.Linear, stride: int) -> None:
        super().__init__()
        self.projection, self.stride = projection, stride

    def forward(self, features: Tensor) -> Tensor:
        """(batch, stride * n, mel) to (batch, n, stride * projection)."""
        projected = self.projection(features)
        stacked: Tensor = projected.reshape(features.shape[0], -1, self.stride * projected.shape[2])
        return stacked


class EmformerEncoder(Encoder):
    """Emformer layers with their own keys and values as state; exact for pieces of whole segments.

    State: the last 880 samples (batch, 880), how many frames were cached (batch, 1), then per layer the keys
    and the values of the left context (batch, 30, feature).

    Args:
        transcriber: torchaudio's encoder; its modules are taken over, its output projection is dropped.
        params: architecture parameters that differ from :data:`PARAMS`.
    """

    stem: FrameStackingStem

    def __init__(self, transcriber: Any, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.params = dict(params)
        transformer = transcriber.transformer
        self.frontend = GlobalMel()
        self.stem = FrameStackingStem(transcriber.input_linear, transcriber.time_reduction.stride)
        self.layers = transformer.emformer_layers
        self.segment, self.right, self.left = (
            transformer.segment_length,
            transformer.right_context_length,
            transformer.left_context_length,
        )
        self.hop_samples = self.stem.stride * MEL_HOP_SAMPLES
        self.info = self.describe()

    def shape(self) -> dict[str, Any]:
        """See :meth:`Encoder.shape`."""
        return {"bundle": NAME} | ({"params": self.params} if self.params else {})

    def describe(self) -> EncoderInfo:
        """See :meth:`Encoder.describe`."""
        frames = len(self.layers) * (self.left + self.segment - 1) + self.segment + self.right
        return EncoderInfo(
            name=NAME,
            hop_samples=self.hop_samples,
            receptive_field_samples=frames * self.hop_samples + MEL_WINDOW_SAMPLES - MEL_HOP_SAMPLES,
            lookahead_samples=(self.segment - 1) * self.hop_samples,
            dimension=self.layers[0].input_dim,  # type: ignore[arg-type]
            num_layers=len(self.layers),
            streaming=True,
            license="not stated by torchaudio (code: BSD-2-Clause); trained on LibriSpeech (CC-BY-4.0)",
            source=f"torchaudio.pipelines.{NAME.upper()}",
            chunk_samples=self.segment * self.hop_samples,
        )

    def initial_state(self, batch: int) -> StreamState:
        """See :meth:`Encoder.initial_state`."""
        zeros = self.stem.projection.weight.new_zeros
        history = self.right * self.hop_samples + MEL_WINDOW_SAMPLES - MEL_HOP_SAMPLES
        cache = [zeros(batch, self.left, self.info.dimension) for _ in range(2 * len(self.layers))]
        return [zeros(batch, history), zeros(batch, 1), *cache]

    def run(self, waveform: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Encoder.run`; a last piece shorter than a segment is a segment of its own."""
        history, heard, *cache = state
        signal = torch.cat([history, waveform], dim=1)
        outputs = []
        for start in range(0, waveform.shape[1], self.info.chunk_samples):
            stop = min(start + self.info.chunk_samples, waveform.shape[1])
            features = self.stem(self.frontend(signal[:, start : history.shape[1] + stop]))
            slot = torch.arange(self.left, device=signal.device)
            cached = slot >= self.left - heard  # (batch, left)
            for number, layer in enumerate(self.layers):
                keys_values = cache[2 * number], cache[2 * number + 1]
                features, keys, values = self._forward_layer(layer, features, *keys_values, cached)
                cache[2 * number : 2 * number + 2] = keys, values
            outputs.append(features[:, : features.shape[1] - self.right])
            heard = (heard + outputs[-1].shape[1]).clamp(max=self.left)
        return torch.cat(outputs, dim=1), [signal[:, waveform.shape[1] :], heard, *cache]

    def _forward_layer(
        self, layer: Any, features: Tensor, keys: Tensor, values: Tensor, cached: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run a layer on segment and right context (batch, time, feature); return also the next cache."""
        attention = layer.attention
        normed = layer.layer_norm_input(features)
        new_keys, new_values = attention.emb_to_key_value(normed).chunk(2, dim=2)
        keys, values = torch.cat([keys, new_keys], dim=1), torch.cat([values, new_values], dim=1)
        mask = torch.cat([cached, cached.new_ones(features.shape[:2])], dim=1)  # (batch, left + time)
        query, key, value = (
            part.unflatten(2, (attention.num_heads, -1)).transpose(1, 2)  # (batch, head, time, feature)
            for part in (attention.emb_to_query(normed), keys, values)
        )
        dropout = attention.dropout if layer.training else 0.0
        attended = nn.functional.scaled_dot_product_attention(query, key, value, mask[:, None, None], dropout)
        hidden = features + layer.dropout(attention.out_proj(attended.transpose(1, 2).flatten(2)))
        output = layer.layer_norm_output(hidden + layer.pos_ff(hidden))
        stop = keys.shape[1] - self.right  # the right context comes again, as the start of the next segment
        return output, keys[:, stop - self.left : stop], values[:, stop - self.left : stop]

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """See :meth:`Encoder.forward`; a row hears silence after its end, whatever its batch holds there."""
        heard = torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None]
        padded = nn.functional.pad(waveform * heard, (0, -waveform.shape[1] % self.info.chunk_samples))
        return super().forward(padded, lengths)


def _architecture(params: Mapping[str, Any]) -> nn.Module:
    """Return torchaudio's RNN-T encoder with random weights; predictor and joiner are as small as can be."""
    for key in params:
        if key not in PARAMS:
            near = difflib.get_close_matches(key, PARAMS, n=1) or sorted(PARAMS)
            raise ConfigError(
                f"encoder_shape.params.{key}: unknown for encoder {NAME!r}; nearest known: {', '.join(near)}"
            )
    model: nn.Module = models.emformer_rnnt_model(
        **{**PARAMS, **params},
        input_dim=NUM_MELS,
        transformer_max_memory_size=0,
        transformer_weight_init_scale_strategy="depthwise",
        transformer_tanh_on_mem=True,
        num_symbols=1,
        symbol_embedding_dim=1,
        num_lstm_layers=1,
        lstm_layer_norm=True,
        lstm_layer_norm_epsilon=1e-3,
        lstm_dropout=0.0,
    ).transcriber
    return model


def build(shape: Mapping[str, Any]) -> EmformerEncoder:
    """Return the architecture of :meth:`EmformerEncoder.shape` with random weights.

    Raises:
        ConfigError: the shape is another encoder's or holds an unknown key.
    """
    if not set(shape) <= {"bundle", "params"} or shape.get("bundle", NAME) != NAME:
        raise ConfigError(
            f"encoder_shape: got {dict(shape)}, allowed for {NAME!r}: bundle: {NAME}, and params"
        )
    params = shape.get("params", {})
    return EmformerEncoder(_architecture(params), params)


def load(weights: Path | None, pretrained: bool, params: Mapping[str, Any] | None = None) -> EmformerEncoder:
    """Loader of the registry.

    Args:
        weights: a local file in the format that torchaudio downloads, or the same names as safetensors, with
            :data:`STATISTICS` beside it; None lets torchaudio fetch both.
        pretrained: False reads no weights.
        params: architecture parameters that differ from :data:`PARAMS`, for a file of another size.
    Raises:
        CheckpointError: the weights cannot be fetched or read, or do not fit.
    """
    params = params or {}
    if not pretrained:
        return build({"params": params})
    if weights is None:
        return _fetch()
    transcriber, prefix = _architecture(params), "transcriber."
    tensors = read_state_dict(weights)
    mine = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    load_strictly(transcriber, mine, weights)
    encoder = EmformerEncoder(transcriber, params)
    load_strictly(
        encoder.frontend, _read_statistics(weights.parent / STATISTICS), weights.parent / STATISTICS
    )
    return encoder.eval()


def _fetch() -> EmformerEncoder:
    try:
        transcriber = BUNDLE.get_decoder().model.transcriber
        statistics = BUNDLE.get_streaming_feature_extractor().pipeline[-1].state_dict()
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        urls = f"{_URL}{BUNDLE._rnnt_path} and {_URL}{BUNDLE._global_stats_path}"
        raise unreachable(NAME, urls, error) from error
    encoder = EmformerEncoder(transcriber, {})
    load_strictly(encoder.frontend, statistics, Path(STATISTICS))
    return encoder.eval()


def _read_statistics(path: Path) -> dict[str, Tensor]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {name: torch.tensor(values[name], dtype=torch.float32) for name in ("mean", "invstddev")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: no readable mel statistics ({error!r}); "
            f"download {_URL}{BUNDLE._global_stats_path} into the folder of the weights"
        ) from error
