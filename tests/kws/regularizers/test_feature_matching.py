"""Feature matching beside its value and gradient by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kws.encoders.base import Encoder
from kws.regularizers import Regularizer, Step, build_regularizer
from kws.transfer import TransferConfig, apply_policy
from tests.support.encoders import tiny_encoder
from tests.support.steps import batch_of, step_of
from tests.support.training import tiny_model

LENGTHS = torch.tensor([12_800, 6400, 12_800, 700])


def by_hand(target: np.ndarray, found: np.ndarray, frames: list[int]) -> float:
    """Squared distance over the source's variance, both summed over the valid frames, one by one."""
    rows = [(target[row, t], found[row, t]) for row, count in enumerate(frames) for t in range(count)]
    mean = sum(source for source, _ in rows) / len(rows)
    distance = sum(float(((moved - source) ** 2).sum()) for source, moved in rows)
    return distance / sum(float(((source - mean) ** 2).sum()) for source, _ in rows)


@pytest.mark.parametrize("depth", [1, 3])
def test_is_the_share_of_the_sources_variance_that_the_features_are_off(depth: int):
    model = tiny_model(depth=depth).eval()
    apply_policy(model, TransferConfig("all"))
    batch = batch_of()._replace(lengths=LENGTHS)
    source = step_of(model, batch).features.detach().numpy()
    term = build_regularizer("feature_matching", model)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    step = step_of(model, batch)
    frames = [20, 10, 20, 1]
    expected = by_hand(source, step.features.detach().numpy(), frames)
    assert 0.001 < expected < 10
    assert float(term(model, step)) == pytest.approx(expected, rel=1e-5)


def term_and_target(encoder: Encoder | None = None) -> tuple[Regularizer, Step]:
    model = tiny_model(depth=2).eval()
    if encoder is not None:
        model.encoder = encoder
    apply_policy(model, TransferConfig("all"))
    batch = batch_of()._replace(lengths=LENGTHS)
    features, frames = model.encoder(batch.waveform, batch.lengths)
    step = Step(batch, features.detach(), frames, torch.zeros(4, 20, 1), 0.0)
    return build_regularizer("feature_matching", model), step


def test_pulls_each_feature_back_and_padding_not_at_all():
    term, step = term_and_target()
    off = torch.randn_like(step.features)
    features = (step.features + off).requires_grad_(True)
    term(tiny_model(), step._replace(features=features)).backward()
    valid = torch.tensor([[t < count for t in range(20)] for count in (20, 10, 20, 1)])
    spread = float((step.features[valid] - step.features[valid].mean(0)).square().sum())
    expected = 2 * off / spread * valid[:, :, None]
    torch.testing.assert_close(features.grad, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "name", ["embedded", "wav2vec2_base", "whisper_base", "emformer_rnnt_base_librispeech"]
)
def test_one_is_as_far_off_as_the_mean_whatever_the_encoder(name: str):
    term, step = term_and_target(tiny_encoder(name))
    valid = step.valid
    mean = step.features[valid].mean(0).expand_as(step.features)
    value = term(tiny_model(), step._replace(features=mean))
    assert float(value) == pytest.approx(1.0, abs=1e-4)
