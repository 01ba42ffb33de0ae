"""What each depth of an encoder knows of a keyword: a linear layer on its frozen frames.

Depths hear the same dev recordings, so they are told apart by the recordings that one of two misses and the
other hears.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from tqdm import tqdm

from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.counts import counted
from kws.data import Augment, BatchConfig, KeywordBatches
from kws.decisions import DecisionSettings, decide
from kws.encoders.base import Encoder
from kws.encoders.truncate import num_parameters, truncate
from kws.errors import ConfigError
from kws.evaluation.intervals import CONFIDENCE, Proportion, proportion
from kws.evaluation.thresholds import choose_operating_point
from kws.heads.window import WindowHead
from kws.losses import max_pooling_loss
from kws.model import WakeWordModel
from kws.structs import Batch
from kws.training.data import TrainingData
from kws.training.dev import read_dev

PROBE_S = 1.0
"""The linear layer sees the frames of this long."""
SMOOTHING_FRAMES, REFRACTORY_S = 2, 1.0
"""Of the decisions that misses are counted by."""


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
    missed: tuple[int, ...] = ()
    """Which of the dev recordings are missed; the same recordings for every depth."""


@dataclass(frozen=True, slots=True)
class DepthAdvice:
    """Which depth to take, where the probes can tell."""

    depth: int | None
    """The recommended one; None where they cannot tell."""
    alike: tuple[int, ...]
    """Depths that are not shown to miss more than the one with the fewest misses, and that one."""
    reason: str
    """Why, in words."""


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
    windows = [
        batches.batch(step)
        for step in tqdm(range(config.num_batches), "drawing windows", unit="batch", disable=None)
    ]
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
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()


def _read(model: WakeWordModel, depth: int, data: TrainingData, config: ProbeConfig) -> DepthResult:
    """Read dev with a trained probe."""
    scores = read_dev(model, data, config.dev_hours)
    settings = DecisionSettings(config.false_accepts_per_hour, SMOOTHING_FRAMES, REFRACTORY_S)
    point, _, _ = choose_operating_point(
        scores,
        model.keywords,
        hop_samples=model.hop_samples,
        settings=settings,
        proven_per_hour=0.0,
    )
    missed = []
    for number, (clip, label) in enumerate(zip(scores.positives, scores.labels, strict=True)):
        keyword = model.keywords[label]
        decision = settings.at([point.thresholds[keyword]])
        hop_s = model.hop_samples / SAMPLE_RATE
        if not decide(clip[:, label : label + 1], [keyword], decision, hop_s)[0]:
            missed.append(number)
    misses = proportion(len(missed), len(scores.positives))
    return DepthResult(depth, num_parameters(model.encoder), misses, scores.loss(), tuple(missed))


def recommend(results: Sequence[DepthResult], held_out: bool = True) -> DepthAdvice:
    """Return the depth that misses least, where it is told apart from every other one.

    Two depths are told apart by an exact sign test over the recordings that only one of them misses
    (McNemar 1947, doi:10.1007/BF02295996).

    Args:
        results: of one probe each, on the same recordings.
        held_out: no probe was trained on the recordings.
    """
    best = min(results, key=lambda result: (result.misses.events, result.depth))
    others = [result for result in results if result is not best]
    if not others:
        return DepthAdvice(None, (best.depth,), "one depth alone is compared with nothing")
    if not held_out:
        reason = (
            "the recordings are too few to hold some out, and the probes were trained on them; record more"
        )
        return DepthAdvice(None, tuple(result.depth for result in results), reason)
    ties = [result for result in others if not shown_to_miss_more(result, best)]
    alike = tuple(sorted(result.depth for result in (best, *ties)))
    if not ties:
        return DepthAdvice(
            best.depth, alike, "every other depth is shown to miss more of the same recordings"
        )
    listed = f"{', '.join(map(str, alike[:-1]))} and {alike[-1]}"
    reason = f"depths {listed} cannot be told apart by {counted(best.misses.trials, 'recording')}"
    nearest = min(ties, key=lambda result: (result.misses.events, result.depth))
    return DepthAdvice(None, alike, f"{reason}; {_what_would_tell(nearest, best)}")


def shown_to_miss_more(result: DepthResult, best: DepthResult) -> bool:
    """Tell whether a depth is shown to miss more of the same recordings than another."""
    more, less = len(set(result.missed) - set(best.missed)), len(set(best.missed) - set(result.missed))
    return more > less and stats.binomtest(less, more + less).pvalue < 1 - CONFIDENCE


def _what_would_tell(result: DepthResult, best: DepthResult) -> str:
    """Return how many recordings would tell two depths apart, supposing that they differ as they do."""
    differing = len(set(result.missed) ^ set(best.missed))
    difference = result.misses.events - best.misses.events
    if not difference:
        return "the two that miss least miss as many; more recordings would tell what is smaller"
    wanted = stats.norm.ppf((1 + CONFIDENCE) / 2) ** 2 * differing / difference**2
    return f"about {np.ceil(max(wanted, 1.5) * best.misses.trials):.0f} held-out recordings would tell"
