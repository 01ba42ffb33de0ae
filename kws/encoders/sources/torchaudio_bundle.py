"""wav2vec 2.0, HuBERT, XLS-R and WavLM as ``torchaudio.pipelines`` gives them, without their output layer.

Registered by :mod:`kws.encoders.registry` under the lower-case name of the bundle, such as
``wav2vec2_base``. The modules and weights are torchaudio's; the walk through them is written here, so that
a row never depends on its batch: torchaudio normalises the waveform over (batch, samples), the first
convolution over padded time.
"""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio import models, pipelines

from kws.encoders.base import EncoderInfo
from kws.encoders.sliding import CHUNK_SAMPLES, WINDOW_SAMPLES, SlidingEncoder
from kws.errors import CheckpointError, ConfigError
from kws.weights import load_strictly, read_weights

BUNDLES: dict[str, pipelines.Wav2Vec2Bundle] = {
    name.lower(): bundle
    for name in pipelines.__all__
    if type(bundle := getattr(pipelines, name)) in (pipelines.Wav2Vec2Bundle, pipelines.Wav2Vec2ASRBundle)
}
_URL = "https://download.pytorch.org/torchaudio/models/"


class WaveformStem(nn.Module):
    """What lies below the first layer: convolutions over the waveform, projection, positional convolution.

    Args:
        model: torchaudio's, whose modules are taken over.
        normalize_waveform: bring each row to zero mean and unit variance first, as LARGE models were trained.
    """

    def __init__(self, model: models.Wav2Vec2Model, normalize_waveform: bool) -> None:
        super().__init__()
        transformer = model.encoder.transformer
        self.feature_extractor = model.feature_extractor
        self.feature_projection = model.encoder.feature_projection
        self.pos_conv_embed = transformer.pos_conv_embed
        # where it follows the last layer instead it is left out, as in torchaudio's extract_features
        self.layer_norm = transformer.layer_norm if transformer.layer_norm_first else nn.Identity()
        self.dropout = transformer.dropout
        self.normalize_waveform = normalize_waveform
        self.hop_samples, self.overlap_samples = 1, 1
        for layer in self.feature_extractor.conv_layers:
            self.overlap_samples += (layer.kernel_size - 1) * self.hop_samples
            self.hop_samples *= layer.stride
        # 400 - 320: with so much silence in front, frame t ends with hop t
        self.overlap_samples -= self.hop_samples

    def forward(self, waveform: Tensor, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, n * hop) samples to (batch, n, dimension) and the mask (batch, n) of the valid frames."""
        frame = torch.arange(waveform.shape[1] // self.hop_samples, device=waveform.device)
        valid = (frame >= first[:, None]) & (frame < last[:, None])  # (batch, n)
        heard = valid[:, :, None].expand(-1, -1, self.hop_samples).reshape(waveform.shape)  # (batch, samples)
        if self.normalize_waveform:
            waveform = _normalize(waveform, heard)
        padded = nn.functional.pad(waveform * heard, (self.overlap_samples, 0))
        features = self._convolve(padded[:, None], first, last).transpose(1, 2)  # (batch, n, channel)
        features = self.feature_projection(features) * valid[:, :, None]
        features = self.layer_norm(features + self.pos_conv_embed(features))
        return self.dropout(features), valid

    def _convolve(self, features: Tensor, first: Tensor, last: Tensor) -> Tensor:
        for layer in self.feature_extractor.conv_layers:
            if not isinstance(layer.layer_norm, nn.GroupNorm):  # only ever in the first block
                features, _ = layer(features, None)
                continue
            features = layer.conv(features)  # (batch, channel, step)
            start = layer.stride * torch.arange(features.shape[2], device=features.device)
            stop = last * self.hop_samples + self.overlap_samples - layer.kernel_size
            inside = (start >= first[:, None] * self.hop_samples) & (start <= stop[:, None])
            norm = layer.layer_norm  # one group per channel: statistics over time
            normal = _normalize(features, inside[:, None], norm.eps)
            features = nn.functional.gelu(normal * norm.weight[:, None] + norm.bias[:, None])
        return features


def _normalize(values: Tensor, mask: Tensor, eps: float = 1e-5) -> Tensor:
    """Bring the last axis to zero mean and unit variance, both taken where ``mask`` is True."""
    weight = mask.to(values) / mask.sum(dim=-1, keepdim=True)
    centered = values - (values * weight).sum(dim=-1, keepdim=True)
    return centered * torch.rsqrt((centered.square() * weight).sum(dim=-1, keepdim=True) + eps)


class BundleEncoder(SlidingEncoder):
    """A model of ``torchaudio.pipelines``, streamed over a sliding window.

    Args:
        name: its bundle in :data:`BUNDLES`.
        model: torchaudio's model; its modules are taken over, its output layer is dropped.
        params: architecture parameters that differ from the bundle's.
    """

    stem: WaveformStem

    def __init__(self, name: str, model: models.Wav2Vec2Model, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.name, self.params = name, dict(params)
        self.stem = WaveformStem(model, BUNDLES[name]._normalize_waveform)
        self.layers = model.encoder.transformer.layers
        self.info = self.describe()

    def shape(self) -> dict[str, Any]:
        """See :meth:`Encoder.shape`."""
        return {"bundle": self.name} | ({"params": self.params} if self.params else {})

    def describe(self) -> EncoderInfo:
        """See :meth:`Encoder.describe`."""
        return EncoderInfo(
            name=self.name,
            hop_samples=self.stem.hop_samples,
            receptive_field_samples=WINDOW_SAMPLES,
            lookahead_samples=CHUNK_SAMPLES - self.stem.hop_samples,
            dimension=self.stem.pos_conv_embed.embed_dim,
            num_layers=len(self.layers),
            streaming=False,
            license=_license(BUNDLES[self.name].__doc__ or ""),
            source=f"torchaudio.pipelines.{self.name.upper()}",
            window_samples=WINDOW_SAMPLES,
            chunk_samples=CHUNK_SAMPLES,
        )

    def encode(self, waveform: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """See :meth:`SlidingEncoder.encode`; layer drop, a device of pretraining, is left out."""
        features: Tensor
        features, valid = self.stem(waveform, first, last)
        frames = features.shape[1]
        masks: dict[str, Tensor] = {"attention_mask": valid[:, None, None].expand(-1, 1, frames, frames)}
        if BUNDLES[self.name]._model_type == "WavLM":
            masks = {"key_padding_mask": torch.zeros_like(features[:, :, 0]).masked_fill(~valid, -torch.inf)}
        position_bias = None
        for layer in self.layers:
            features, position_bias = layer(features, position_bias=position_bias, **masks)
        return features


def _license(text: str) -> str:
    """Read the licence of the weights from the documentation of a bundle."""
    known = {"CC BY-NC 4.0": "CC-BY-NC-4.0", "MIT License": "MIT"}
    return next((name for words, name in known.items() if words in text), "not stated by torchaudio")


def _architecture(name: str, params: Mapping[str, Any]) -> models.Wav2Vec2Model:
    """Return torchaudio's model with random weights and without an output layer."""
    bundle = BUNDLES[name]
    for key in params:
        if key not in bundle._params or key == "aux_num_out":
            near = difflib.get_close_matches(key, bundle._params, n=1) or sorted(bundle._params)
            raise ConfigError(
                f"encoder_shape.params.{key}: unknown for encoder {name!r}; nearest known: {', '.join(near)}"
            )
    factory = {"Wav2Vec2": models.wav2vec2_model, "WavLM": models.wavlm_model}[bundle._model_type]
    return factory(**{**bundle._params, **params, "aux_num_out": None})


def build(name: str, shape: Mapping[str, Any]) -> BundleEncoder:
    """Return the architecture of :meth:`BundleEncoder.shape` with random weights.

    Raises:
        ConfigError: the shape is another bundle's or holds an unknown key.
    """
    if not set(shape) <= {"bundle", "params"} or shape.get("bundle", name) != name:
        raise ConfigError(
            f"encoder_shape: got {dict(shape)}, allowed for {name!r}: bundle: {name}, and params"
        )
    params = shape.get("params", {})
    return BundleEncoder(name, _architecture(name, params), params)


def load(
    name: str, weights: Path | None, pretrained: bool, params: Mapping[str, Any] | None = None
) -> BundleEncoder:
    """Loader of the registry.

    Args:
        name: its bundle in :data:`BUNDLES`.
        weights: a local file in the format that torchaudio downloads, or the same names as safetensors; None
            lets torchaudio fetch it.
        pretrained: False reads no weights.
        params: architecture parameters that differ from the bundle's, for a file of another size.
    Raises:
        CheckpointError: the weights cannot be fetched or read, or do not fit.
    """
    params = params or {}
    if not pretrained:
        return build(name, {"params": params})
    if weights is None:
        return BundleEncoder(name, _fetch(name), {}).eval()
    model = _architecture(name, params)
    tensors = {
        _current_name(key): tensor
        for key, tensor in read_state_dict(weights).items()
        if not key.startswith("aux.")  # the output layer
    }
    load_strictly(model, tensors, weights)
    return BundleEncoder(name, model, params).eval()


def _fetch(name: str) -> models.Wav2Vec2Model:
    bundle = BUNDLES[name]
    try:
        model = bundle.get_model(dl_kwargs={"weights_only": True})
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise unreachable(name, _URL + bundle._path, error) from error
    return getattr(model, "model", model)  # the LARGE models come in a wrapper that normalises over the batch


def _current_name(name: str) -> str:
    """Translate the names that weight norm had when torchaudio's files were written."""
    conv = "pos_conv_embed.conv."
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        name = name.replace(f"{conv}{old}", f"{conv}parametrizations.weight.{new}")
    return name


def unreachable(name: str, url: str, error: Exception) -> CheckpointError:
    """Return the error for weights that could not be fetched, with the way that needs no network."""
    return CheckpointError(
        f"encoder {name!r}: its weights could not be fetched ({error}); download {url} where there is a "
        "network and give the file as `model.weights=FILE`"
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict written by ``torch.save`` or as safetensors; nothing else is unpickled.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    if path.suffix == ".safetensors":
        return read_weights(path)
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader fails in many ways
        raise CheckpointError(
            f"{path}: no readable state dict ({error}); give what torchaudio downloads, or .safetensors"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError(f"{path}: holds no plain state dict; save `model.state_dict()` alone")
    return tensors
