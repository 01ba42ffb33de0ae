"""A training step of a tiny model, as losses and regularisers see it."""

from __future__ import annotations

import torch

from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.model import WakeWordModel
from kws.regularizers import Resources, Step
from kws.structs import Batch, Domains, Transcribed
from tests.support.training import TINY


def batch_of(rows: int = 4, samples: int = 12_800, keywords: int = 1, seed: int = 0) -> Batch:
    """Return noise; keyword 0 in every second row, from the middle to the end; and all other audio."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.zeros(rows, keywords)
    targets[::2, 0] = 1.0
    frames = samples // 640
    return Batch(
        0.1 * torch.randn(rows, samples, generator=generator),
        torch.full((rows,), samples),
        targets,
        torch.full((rows,), frames // 2),
        torch.full((rows,), frames - 1),
        Transcribed(
            0.1 * torch.randn(2, 12_800, generator=generator),
            torch.tensor([12_800, 9_600]),
            torch.tensor([3, 1, 4, 1, 5]),
            torch.tensor([3, 2]),
        ),
        Domains(
            torch.arange(rows) % 2 == 1,
            0.1 * torch.randn(3, 6400, generator=generator),
            torch.tensor([6400, 6400, 3200]),
        ),
    )


def step_of(model: WakeWordModel, batch: Batch | None = None, progress: float = 0.5) -> Step:
    """Return what one forward pass of a model gives."""
    batch = batch or batch_of(keywords=len(model.keywords))
    logits, features, frames = model.forward_features(batch.waveform, batch.lengths)
    return Step(batch, features, frames, logits, progress)


def recognizer_of(model: WakeWordModel, seed: int = 3) -> PhoneRecognizer:
    """Return a recogniser of :data:`TINY` whose first layers are the model's; global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PhoneRecognizer(EmbeddedEncoder(TINY), 1).with_first_layers(model.encoder).eval()


def resources_of(model: WakeWordModel) -> Resources:
    """Return what any regulariser may ask for."""
    return Resources(lambda step: batch_of(keywords=len(model.keywords), seed=step), recognizer_of(model))
