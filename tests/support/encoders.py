"""Encoders of every registered kind that are small enough for a test, and a voice-like signal."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from kws.audio import SAMPLE_RATE
from kws.encoders.base import Encoder
from kws.encoders.registry import available_encoders, build_encoder

TINY_EMBEDDED: dict[str, Any] = {
    "num_mels": 8,
    "dimension": 16,
    "num_layers": 3,
    "kernel": 3,
    "lookahead": 2,
}
TINY_BLOCKS: dict[str, dict[str, Any]] = {
    "gated": {},
    "squeeze": {"squeeze_frames": 4},
    "attention": {"block_every": 2, "attention_heads": 2, "attention_left": 5},
}
"""The embedded encoder's other kinds of blocks, with memories that end within a test."""
TINY_EMFORMER: dict[str, Any] = {
    "time_reduction_input_dim": 8,
    "transformer_num_heads": 2,
    "transformer_ffn_dim": 32,
    "transformer_num_layers": 3,
    "encoding_dim": 16,
}
TINY_BUNDLE: dict[str, Any] = {
    "extractor_conv_layer_config": [[8, 10, 5], *[[8, 3, 2]] * 4, *[[8, 2, 2]] * 2],
    "encoder_embed_dim": 32,
    "encoder_pos_conv_kernel": 8,
    "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 3,
    "encoder_num_heads": 4,
    "encoder_ff_interm_features": 48,
}
TINY_WHISPER: dict[str, Any] = {"dimension": 16, "num_layers": 3, "num_heads": 2, "num_mels": 8}


def kinds_of_encoders() -> list[str]:
    """Return the registered names, and ``embedded`` with each other kind of block, as ``embedded gated``."""
    return [*available_encoders(), *(f"embedded {block}" for block in TINY_BLOCKS)]


def registered(kind: str) -> str:
    """Return the registered name of one of :func:`kinds_of_encoders`."""
    return kind.split()[0]


def tiny_shape(name: str) -> dict[str, Any]:
    """Return an ``Encoder.shape()`` of a kind with its sizes alone made small."""
    if name == "embedded":
        return TINY_EMBEDDED
    if name.startswith("embedded "):
        block = name.removeprefix("embedded ")
        return {**TINY_EMBEDDED, "block": block, **TINY_BLOCKS[block]}
    if name.startswith("whisper"):
        return TINY_WHISPER
    return {"bundle": name, "params": TINY_EMFORMER if name.startswith("emformer") else TINY_BUNDLE}


def tiny_encoder(name: str = "embedded", seed: int = 0) -> Encoder:
    """Return a small encoder of a kind with random weights, in eval mode; global state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = build_encoder(registered(name), tiny_shape(name)).eval()
    if name.startswith(
        "emformer"
    ):  # its band statistics are a second file; these bring a voice to about 0 to 3
        encoder.frontend.mean.fill_(14.0)
        encoder.frontend.invstddev.fill_(0.25)
    return encoder


def voice(samples: int, seed: int = 0) -> Tensor:
    """Return (samples,) float32: a gliding pitch with harmonics, syllables of 200 ms and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    time_s = torch.arange(samples) / SAMPLE_RATE
    pitch_hz = 120 + 30 * torch.sin(2 * math.pi * 0.7 * time_s + seed)
    phase = 2 * math.pi * torch.cumsum(pitch_hz, 0) / SAMPLE_RATE
    harmonics = sum(torch.sin(number * phase) / number for number in range(1, 20))
    syllables = torch.sin(math.pi * 2.5 * time_s).square()
    return 0.1 * syllables * harmonics + 0.003 * torch.randn(samples, generator=generator)
