"""What each depth of an encoder knows of a keyword: a linear layer on its frozen frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from kws.audio import seconds_to_samples
from kws.data import Augment, BatchConfig, KeywordBatches
from kws.encoders.base import Encoder
from kws.encoders.truncate import num_parameters, truncate
from kws.errors import ConfigError
from kws.evaluation.intervals import Proportion, proportion
from kws.evaluation.thresholds import choose_operating_point
from kws.heads.window import WindowHead
from kws.losses import max_pooling_loss
from kws.model import WakeWordModel
from kws.structs import Batch
from kws.training.data import TrainingData
from kws.training.dev import read_dev

PROBE_S = 1.0
"""The linear layer sees the frames of this long."""
NEAR_BEST = 1.1
"""The shallowest depth whose dev loss is at most this much of the best one's is recommended."""


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """How long and on how much a probe is trained."""

    num_batches: int = 32
    """Batches of training windows, encoded once at each depth."""
    steps: int = 320
    """Steps over them."""
    learning_rate: float = 3e-3
    """Peak rate; it falls to 0 along a cosine."""
    weight_decay: float = 1e-2
    """Of AdamW."""
    dev_hours: float = 1.0
    """Hours of dev negatives that are read."""
    false_accepts_per_hour: float = 1.0
    """Rate at which misses are counted."""
    seed: int = 0
    """Seed of windows and augmentation."""

    def __post_init__(self) -> None:
        for name in ("num_batches", "steps", "learning_rate", "dev_hours", "false_accepts_per_hour"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"probe.{name}: got {getattr(self, name)}, allowed: above 0")


@dataclass(frozen=True, slots=True)
class DepthResult:
    """What a probe of one depth gives."""

    depth: int
    """Encoder layers kept."""
    num_parameters: int
    """Of those layers and what lies below them."""
    misses: Proportion
    """Of the dev recordings, at the wanted false accepts per hour."""
    dev_loss: float
    """Cross-entropy on dev, smooth where misses are few."""


def probe(
    encoder: Encoder,
    keywords: Sequence[str],
    data: TrainingData,
    config: ProbeConfig,
    *,
    batch: BatchConfig | None = None,
    augment: Augment | None = None,
    depths: Sequence[int] = (),
) -> Iterator[tuple[DepthResult, WakeWordModel]]:
    """Train and read a probe of each depth.

    Args:
        encoder: uncut.
        keywords: the phrases.
        data: recordings to train on and to read.
        config: length of training.
        batch: how windows are drawn.
        augment: waveform augmentation.
        depths: which to probe; none takes all.
    Yields:
        The result of a depth and the model with its probe, in the order of ``depths``.
    Raises:
        ConfigError: a depth is out of range.
    Source: linear probes of intermediate layers, Alain and Bengio, arXiv:1610.01644.
    """
    batches = KeywordBatches(
        data.positives,
        data.labels,
        data.negatives,
        batch or BatchConfig(),
        num_keywords=len(keywords),
        hop_samples=encoder.info.hop_samples,
        augment=augment,
        seed=config.seed,
    )
    windows = [batches.batch(step) for step in tqdm(range(config.num_batches), "drawing windows")]
    for depth in depths or range(1, encoder.info.num_layers + 1):
        cut = truncate(encoder, depth).eval().requires_grad_(False)
        frames = max(1, round(seconds_to_samples(PROBE_S) / cut.info.hop_samples))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            head = WindowHead(cut.info.dimension, len(keywords), frames, stride=1)
        train_head(head, cut, windows, config)
        model = WakeWordModel(cut, head, keywords).eval()
        yield _read(model, depth, data, config), model


def train_head(head: WindowHead, encoder: Encoder, windows: Sequence[Batch], config: ProbeConfig) -> None:
    """Train the head on windows that are encoded once."""
    with torch.no_grad():
        encoded = [encoder(window.waveform, window.lengths).features for window in windows]
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for step in range(config.steps):
        features, window = encoded[step % len(windows)], windows[step % len(windows)]
        logits, _ = head(features, head.initial_state(len(features)))
        loss = max_pooling_loss(logits, window)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _read(model: WakeWordModel, depth: int, data: TrainingData, config: ProbeConfig) -> DepthResult:
    """Read dev with a trained probe."""
    scores = read_dev(model, data, config.dev_hours)
    _, misses, _ = choose_operating_point(
        scores,
        model.keywords,
        hop_samples=model.hop_samples,
        false_accepts_per_hour=config.false_accepts_per_hour,
        smoothing_frames=2,
        refractory_s=1.0,
    )
    counts = [scores.labels.count(index) for index in range(len(model.keywords))]
    missed = sum(round(misses[name] * count) for name, count in zip(model.keywords, counts, strict=True))
    return DepthResult(depth, num_parameters(model.encoder), proportion(missed, sum(counts)), scores.loss())


def recommend(results: Sequence[DepthResult]) -> int:
    """Return the shallowest depth that is nearly as good as the best, by dev loss."""
    limit = NEAR_BEST * min(result.dev_loss for result in results)
    return min(result.depth for result in results if result.dev_loss <= limit)
