"""The agreement of two masked copies: its value by hand, its gradient, and what it learns without phones."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_prep.augmentation.spec_augment import SpecAugment
from kws.errors import ConfigError
from kws.pretraining import loop as module
from kws.pretraining.batches import CtcBatch
from kws.pretraining.config import PretrainConfig
from kws.pretraining.loop import pretrain
from kws.pretraining.sources import SpeechSourceConfig
from kws.pretraining.task import CtcTask, disagreement, twice
from tests.support.pretraining import TINY, tiny_recipe
from tests.support.training import noise, tone, write_manifest, write_wavs


def test_disagreement_is_the_mean_of_both_divergences():
    # one frame: (1/2, 1/2) against (1/4, 3/4); the second frame is padding and would change the mean
    logits = torch.log(torch.tensor([[[0.5, 0.5], [1.0, 9.0]], [[0.25, 0.75], [9.0, 1.0]]]))
    first = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    second = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(disagreement(logits, torch.tensor([1, 1]))) == pytest.approx((first + second) / 2)


def test_equal_copies_do_not_disagree():
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([5, 3, 4])
    assert float(disagreement(torch.cat([logits, logits]), torch.cat([lengths, lengths]))) == pytest.approx(
        0, abs=1e-6
    )


def test_each_copy_moves_towards_the_other_as_it_stands():
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 0.0]]], requires_grad=True)
    disagreement(logits, torch.tensor([1, 1])).backward()
    # gradient of KL(q || softmax(x)) with q held fixed: softmax(x) - q; the mean is over two frames
    p, q = torch.tensor([2.0, 0.0]).softmax(0), torch.tensor([0.5, 0.5])
    torch.testing.assert_close(logits.grad, torch.stack([p - q, q - p])[:, None] / 2)


def test_a_batch_holds_its_rows_twice():
    batch = CtcBatch(
        torch.randn(2, 8, 3), torch.tensor([2, 1]), torch.tensor([5, 6, 7]), torch.tensor([1, 2])
    )
    doubled = twice(batch)
    torch.testing.assert_close(doubled.features[2:], batch.features)
    assert doubled.targets.tolist() == [5, 6, 7, 5, 6, 7]
    assert doubled.target_lengths.tolist() == [1, 2, 1, 2]
    assert doubled.embeddings is None


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """Three tones, one of them without phones."""
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    waveforms = [tone(0.8, 300 + 200 * n) + noise(0.8, n, 0.01) for n in range(3)]
    paths = write_wavs(tmp_path / "wavs", waveforms)
    rows = [
        {"path": path.relative_to(tmp_path), "duration_s": 0.8, "split": "train"}
        | ({"phones": "K AE T"} if index else {})
        for index, path in enumerate(paths)
    ]
    write_manifest(tmp_path / "speech.jsonl", rows)
    source = SpeechSourceConfig(tmp_path / "speech.jsonl")
    return replace(
        tiny_recipe(tmp_path / "speech.jsonl"),
        train=(replace(source, unlabeled=True),), dev=(source,), test=(),
        encoder=replace(TINY, drop=0.0), steps=30, batch_s=3.0, consistency=1.0, learning_rate=0.01,
        ramp=0.12, evaluate_every=30, ema_decay=0.999,
    )  # fmt: skip


def test_masked_copies_come_to_agree(recipe: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    apart: list[float] = []
    log = CtcTask.log

    def noted(task: CtcTask, name: str, value: torch.Tensor, **options: object) -> None:
        if name == "apart":
            apart.append(float(value))
        log(task, name, value, **options)

    monkeypatch.setattr(CtcTask, "log", noted)
    metrics = pretrain(replace(recipe, ramp=0.0), tmp_path / "with", mask=SpecAugment())
    assert metrics["train_utterances"] == 3  # the line without phones too
    together = list(apart)
    apart.clear()
    pretrain(replace(recipe, ramp=0.0, consistency=1e-9), tmp_path / "without", mask=SpecAugment())
    assert sum(together[-10:]) < 0.7 * sum(apart[-10:])


def test_recipes_without_anything_to_agree_on_are_refused(recipe: PretrainConfig):
    with pytest.raises(
        ConfigError, match="consistency: got 1, allowed: 0 or more, above 0 with `spec_augment`"
    ):
        replace(recipe, spec_augment=False)
    with pytest.raises(ConfigError, match="consistency: got -1"):
        replace(recipe, consistency=-1.0)
    with pytest.raises(ConfigError, match="an `unlabeled` source needs a `teacher` or `consistency`"):
        replace(recipe, consistency=0.0)
