"""Pretraining of a student, and the weights that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kws.errors import CheckpointError
from kws.student.network import Student, StudentConfig
from kws.student.pretrained import load_pretrained
from kws.student.pretraining import HINTS, STAGES, Stage, pretrain
from kws.student.rows import NUM_STEPS
from kws.weights import write_weights
from tests.support.students import speech_features


@pytest.mark.slow
@pytest.mark.parametrize("varied", [False, True])
def test_blocks_learn_what_the_teacher_hears(varied: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kws.student.pretraining.WARM_UP", 5)
    features = np.stack([speech_features(300, seed) for seed in range(60)])
    loud = features[:, 2::3].astype(np.float32).mean(2) / 40  # one number for each step
    hints = np.repeat((loud - loud.mean())[:, :, None], HINTS, 2).astype(np.float16)
    assert hints.shape == (60, NUM_STEPS, HINTS)
    left: list[list[float]] = []
    student = Student(StudentConfig(channels=16, kernels=(3, 3)))
    stage = Stage(60, 1e-2, (0, 1), varied)
    pretrain(student, features, hints, stage, on_step=lambda _, values: left.append(values))
    assert len(left) == 60 and len(left[0]) == 2
    assert np.mean(left[-10:]) < 0.3 * np.mean(left[:3])


def test_stages_read_blocks_that_the_network_has():
    blocks = len(StudentConfig().kernels)
    assert all(max(stage.blocks) < blocks for stage in STAGES)


def test_shipped_weights_fit_and_are_not_those_of_a_new_student():
    torch.manual_seed(0)
    student = Student(StudentConfig())
    before = student.first.weight.clone()
    load_pretrained(student)
    assert not torch.allclose(student.first.weight, before)
    # they were trained: normalisation has seen speech
    assert (student.first_norm.running_mean.abs() > 0.01).any()


def test_weights_of_another_size_are_refused(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    write_weights(path, Student(StudentConfig(channels=8)).state_dict())
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: .*first\.weight"):
        load_pretrained(Student(StudentConfig()), path)
    with pytest.raises(CheckpointError, match="no such file"):
        load_pretrained(Student(StudentConfig()), tmp_path / "none.safetensors")
