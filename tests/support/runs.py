"""Folders as ``kws train`` leaves them, of small models with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from kws.checkpoint import OperatingPoint, save_model
from kws.decisions import DecisionSettings
from kws.encoders.registry import build_encoder, load_encoder
from kws.encoders.truncate import truncate
from kws.heads import build_head
from kws.model import ModelConfig, WakeWordModel

TINY_SHAPE: dict[str, Any] = {"num_mels": 16, "dimension": 16, "num_layers": 2, "kernel": 3}


def write_run(
    folder: Path,
    head: str = "conv",
    keywords: tuple[str, ...] = ("lumen", "guten tag ü"),
    *,
    encoder: str = "embedded",
    shape: dict[str, Any] | None = None,
    weights: Path | None = None,
    depth: int = 2,
    smoothing_frames: int = 1,
) -> Path:
    """Write a run folder and return it.

    Args:
        folder: to be made.
        head: name of the head.
        keywords: the outputs; the first has threshold 0.5, each next 0.05 more.
        encoder: name in the encoder registry.
        shape: ``Encoder.shape()``; None is a tiny embedded one.
        weights: local file of the whole encoder, which has no ``shape`` then.
        depth: layers kept.
        smoothing_frames: of the operating point.
    """
    config = ModelConfig(keywords, encoder=encoder, depth=depth, head=head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        whole = (
            load_encoder(encoder, weights)
            if weights
            else build_encoder(encoder, TINY_SHAPE if shape is None else shape)
        )
        cut = truncate(whole, depth)
        model = WakeWordModel(cut, build_head(head, cut.info.dimension, len(keywords)), keywords).eval()
    thresholds = {keyword: 0.5 + 0.05 * number for number, keyword in enumerate(keywords)}
    point = OperatingPoint(
        thresholds,
        DecisionSettings(smoothing_frames=smoothing_frames, refractory_s=0.6),
        dev_hours=2.0,
    )
    save_model(
        folder, model, config, point, training={}, metrics={}, provenance={"config_hash": "0123456789ab"}
    )
    return folder
