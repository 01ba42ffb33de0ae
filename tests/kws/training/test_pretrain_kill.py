"""A pretraining run that is killed (SIGKILL) at any moment and goes on ends with the same weights."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from safetensors.torch import load_file

from data_prep.augmentation.spec_augment import SpecAugment
from kws import weights
from kws.encoders.sources import embedded_weights
from kws.errors import CheckpointError
from kws.manifest import Utterance
from kws.training import pretrain as module
from kws.training import pretrain_data, teachers
from kws.training.checkpoints import newest_checkpoint
from kws.training.pretrain import pretrain
from kws.training.pretrain_config import PretrainConfig
from kws.training.pretrain_task import CtcTask
from kws.training.teachers import EncoderTeacher, TeacherConfig


def louder(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    return waveform * (1 + 0.1 * epoch)


@pytest.fixture
def recipe(config: PretrainConfig, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """Six steps with a checkpoint after every second, two versions of half of the files, and a teacher."""
    monkeypatch.setattr(teachers, "SHARD", 1)
    sources = (replace(config.train[0], versions=2), config.train[0])
    teacher = TeacherConfig("embedded", depth=1, layer=1)
    return replace(config, train=sources, steps=6, ema_decay=0.6, teacher=teacher)


def run(recipe: PretrainConfig, output: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a run, the saved ones and those that training would go on with."""
    pretrain(recipe, output, louder, SpecAugment())
    last = newest_checkpoint(output / "checkpoints")
    assert last is not None and last.step == recipe.steps
    return {**load_file(output / "weights.safetensors"), **last.current}


WHOLE: dict[str, torch.Tensor] = {}


def assert_as_if_not_killed(found: dict[str, torch.Tensor], recipe: PretrainConfig, folder: Path) -> None:
    """Hold weights against those of the run that is not killed, which is made once."""
    if not WHOLE:
        WHOLE.update(run(recipe, folder / "whole"))
    torch.testing.assert_close(found, WHOLE, rtol=0, atol=0)


def killed(recipe: PretrainConfig, output: Path, prepare: Callable[[], None]) -> None:
    """Run in a process of its own that kills itself where ``prepare`` says."""

    def body() -> None:
        prepare()
        run(recipe, output)

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def at_call(
    owner: Any, name: str, number: int = 1, act: Callable[..., Any] | None = None, of: str = ""
) -> Callable[[], None]:
    """Return what lets a process die at the ``number``-th call of a function.

    Args:
        owner: module or class of the function.
        name: of the function.
        number: of the call, among those in whose arguments ``of`` occurs.
        act: done instead of the call, before death.
        of: part of an argument.
    """

    def prepare() -> None:
        original, left = getattr(owner, name), [number]

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            left[0] -= of in str(args)
            if left[0] == 0:
                if act is not None:
                    act(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(owner, name, counted)

    return prepare


def write_half(values: Any, file: Any) -> None:
    file.write(b"PK\x03\x04 half of a checkpoint")
    file.flush()


def write_half_weights(tensors: Any, path: Path) -> None:
    Path(path).write_bytes(b"half of the weights")


MOMENTS: dict[str, tuple[Callable[[], None], int]] = {
    "reading speech": (at_call(Utterance, "load", 2), 0),
    "augmenting": (at_call(pretrain_data, "log_mel", 5), 0),
    "hearing the teacher": (at_call(EncoderTeacher, "embed", 2), 0),
    "the first step": (at_call(CtcTask, "training_step"), 0),
    "writing the first checkpoint": (at_call(torch, "save", 1, write_half), 0),
    "between checkpoints": (at_call(CtcTask, "training_step", 4), 2),
    "writing the second checkpoint": (at_call(torch, "save", 2, write_half), 2),
    "setting the first checkpoint aside": (at_call(os, "replace", 1, os.rename, "previous.ckpt"), 2),
    "setting the second checkpoint aside": (at_call(os, "replace", 2, os.rename, "previous.ckpt"), 4),
    "evaluating at the end": (at_call(CtcTask, "validation_step", 3), 6),
    "writing the weights": (at_call(weights, "save_file", 1, write_half_weights), 6),
    "writing the metrics": (at_call(embedded_weights, "write_json"), 6),
    "reading the phone error rate": (at_call(module, "phone_error_rate"), 6),
    "writing the last metrics": (at_call(embedded_weights, "write_json", 2), 6),
}
"""What the process dies at, and the step that it goes on from."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_ends_with_the_same_weights(
    recipe: PretrainConfig, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, moment: str
):
    prepare, step = MOMENTS[moment]
    killed(recipe, tmp_path, prepare)
    left = newest_checkpoint(tmp_path / "checkpoints")
    assert (left.step if left else 0) == step
    assert_as_if_not_killed(run(recipe, tmp_path), recipe, tmp_path_factory.getbasetemp())
    assert not [path for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith(".")]
    assert (tmp_path / "metrics.json").is_file()
