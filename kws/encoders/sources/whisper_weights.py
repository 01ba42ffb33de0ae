"""The files of Whisper's weights: OpenAI's ``.pt`` and the hub's ``model.safetensors``, and how they are got.

Of either file the encoder alone is read. What is fetched is checked against the SHA-256 in OpenAI's address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, hub

from kws.encoders.sources.torchaudio_bundle import unreachable
from kws.encoders.sources.whisper import WhisperEncoder, WhisperShape
from kws.encoders.sources.whisper import build as build_shape
from kws.errors import CheckpointError
from kws.weights import load_strictly

_URL = "https://openaipublic.azureedge.net/main/whisper/models"


@dataclass(frozen=True, slots=True)
class WhisperModel:
    """One of OpenAI's models."""

    file: str
    """OpenAI's name of it."""
    sha256: str
    """Of that file, as ``_MODELS`` of openai/whisper has it."""
    shape: WhisperShape
    """Sizes of its encoder."""

    @property
    def url(self) -> str:
        """Where OpenAI publishes it."""
        return f"{_URL}/{self.sha256}/{self.file}"


_TINY, _BASE, _SMALL = WhisperShape(384, 4, 6), WhisperShape(512, 6, 8), WhisperShape(768, 12, 12)
_MEDIUM, _LARGE = WhisperShape(1024, 24, 16), WhisperShape(1280, 32, 20)
_LARGE_V3 = WhisperShape(1280, 32, 20, num_mels=128)

MODELS: dict[str, WhisperModel] = {
    "whisper_tiny": WhisperModel(
        "tiny.pt", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", _TINY
    ),
    "whisper_tiny_en": WhisperModel(
        "tiny.en.pt", "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03", _TINY
    ),
    "whisper_base": WhisperModel(
        "base.pt", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", _BASE
    ),
    "whisper_base_en": WhisperModel(
        "base.en.pt", "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead", _BASE
    ),
    "whisper_small": WhisperModel(
        "small.pt", "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", _SMALL
    ),
    "whisper_small_en": WhisperModel(
        "small.en.pt", "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872", _SMALL
    ),
    "whisper_medium": WhisperModel(
        "medium.pt", "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", _MEDIUM
    ),
    "whisper_medium_en": WhisperModel(
        "medium.en.pt", "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f", _MEDIUM
    ),
    "whisper_large_v2": WhisperModel(
        "large-v2.pt", "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524", _LARGE
    ),
    "whisper_large_v3": WhisperModel(
        "large-v3.pt", "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb", _LARGE_V3
    ),
    "whisper_large_v3_turbo": WhisperModel(
        "large-v3-turbo.pt", "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a", _LARGE_V3
    ),
}
"""Registry name -> the model."""

_HUB_NAMES = {
    r"blocks\.(\d+)\.attn\.query\.": r"layers.\1.self_attn.q_proj.",
    r"blocks\.(\d+)\.attn\.key\.": r"layers.\1.self_attn.k_proj.",
    r"blocks\.(\d+)\.attn\.value\.": r"layers.\1.self_attn.v_proj.",
    r"blocks\.(\d+)\.attn\.out\.": r"layers.\1.self_attn.out_proj.",
    r"blocks\.(\d+)\.attn_ln\.": r"layers.\1.self_attn_layer_norm.",
    r"blocks\.(\d+)\.mlp\.0\.": r"layers.\1.fc1.",
    r"blocks\.(\d+)\.mlp\.2\.": r"layers.\1.fc2.",
    r"blocks\.(\d+)\.mlp_ln\.": r"layers.\1.final_layer_norm.",
    r"conv([12])\.": r"stem.conv\1.",
}
"""Start of a name in OpenAI's file -> what it is called here; the hub's layers are called so too."""
_LEFT_OUT = ("layer_norm.", "ln_post.", "embed_positions.", "positional_embedding")
"""Starts of names that are not needed: the norm behind the last layer, and the places, which are sines."""


def build(name: str, shape: Mapping[str, Any]) -> WhisperEncoder:
    """Return the architecture of :meth:`WhisperEncoder.shape` with random weights.

    Raises:
        ConfigError: an unknown key, or sizes that do not fit each other.
    """
    model = MODELS[name]
    return build_shape(name, model.shape, f"openai/whisper: {model.file}", shape)


def load(
    name: str, weights: Path | None, pretrained: bool, shape: Mapping[str, Any] | None = None
) -> WhisperEncoder:
    """Loader of the registry.

    Args:
        name: one of :data:`MODELS`.
        weights: a local ``.pt`` of OpenAI, or the hub's ``model.safetensors`` or its folder; None fetches
            OpenAI's.
        pretrained: False reads no weights.
        shape: sizes that differ from those of the name, for a file of another size.
    Raises:
        CheckpointError: the weights cannot be fetched or read, or do not fit.
    """
    encoder = build(name, shape or {})
    if not pretrained:
        return encoder
    path = _fetch(name) if weights is None else weights
    if path.is_dir():
        path = path / "model.safetensors"
    load_strictly(encoder, _encoder_tensors(path), path)
    return encoder.eval()


def _fetch(name: str) -> Path:
    """Return OpenAI's file from torch's cache, where it is fetched to once."""
    model = MODELS[name]
    path = Path(hub.get_dir()) / "checkpoints" / f"whisper-{model.file}"
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hub.download_url_to_file(model.url, str(path), hash_prefix=model.sha256)
    except (OSError, RuntimeError) as error:
        raise unreachable(name, model.url, error) from error
    return path


def _encoder_tensors(path: Path) -> dict[str, Tensor]:
    """Return the encoder's weights in single precision, under the names that they have here.

    Raises:
        CheckpointError: the file is missing, damaged or holds no Whisper encoder.
    """
    read = _read_hub if path.suffix == ".safetensors" else _read_openai
    found = {}
    for name, tensor in read(path).items():
        if name.startswith(_LEFT_OUT):
            continue
        for pattern, ours in _HUB_NAMES.items():
            name = re.sub(f"^{pattern}", ours, name)
        found[name] = tensor.float()
    if not found:
        raise CheckpointError(
            f"{path}: holds no encoder of Whisper; give OpenAI's .pt or the hub's model.safetensors"
        )
    return found


def _read_hub(path: Path) -> dict[str, Tensor]:
    """Read what follows ``model.encoder.`` or ``encoder.`` in a safetensors file, and no decoder."""
    try:
        with safe_open(path, "pt") as file:
            names = {name: name.removeprefix("model.") for name in file.keys()}
            return {
                short.removeprefix("encoder."): file.get_tensor(name)
                for name, short in names.items()
                if short.startswith("encoder.")
            }
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: no readable safetensors weights ({error}); download the file again"
        ) from error


def _read_openai(path: Path) -> dict[str, Tensor]:
    """Read what follows ``encoder.`` in OpenAI's file, mapped so that the decoder stays on disk."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        tensors = stored["model_state_dict"]
        return {
            name.removeprefix("encoder."): tensor
            for name, tensor in tensors.items()
            if name.startswith("encoder.")
        }
    except Exception as error:  # torch's reader fails in many ways
        raise CheckpointError(
            f"{path}: no readable Whisper weights ({error}); give OpenAI's .pt or the hub's model.safetensors"
        ) from error
