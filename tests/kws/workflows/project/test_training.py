"""What a project's recordings are enough for, and what is held out."""

from __future__ import annotations

import pytest

from kws.errors import ConfigError
from kws.manifest import read_manifest
from kws.workflows.project import training
from kws.workflows.project.folder import Project
from kws.workflows.project.training import plan_training, train_project, write_manifests
from tests.support.projects import fill, fill_for_training
from tests.support.training import noise, spoken


def splits(project: Project, name: str) -> list[str | None]:
    return [entry.split for entry in read_manifest(project.folder / name)]


def test_the_plan_follows_from_what_is_there(project: Project, monkeypatch: pytest.MonkeyPatch):
    assert plan_training(project).method == "typed" and not plan_training(project).can_train
    fill_for_training(project)
    fill(project, "positives", [spoken()], fault="soft")
    plan = plan_training(project)
    assert (plan.method, plan.can_train, plan.num_takes, plan.num_held_out) == ("typed", True, 12, 3)
    assert (plan.speech_s, plan.noise_s) == (pytest.approx(32), pytest.approx(2))
    monkeypatch.setattr(training, "SPEECH_S", 30.0)
    assert plan_training(project).method == "trained"


def test_few_recordings_are_all_trained_on(project: Project):
    fill(project, "positives", [spoken(seed=seed) for seed in range(7)])
    write_manifests(project, "typed")
    assert splits(project, "trained-positives.jsonl") == [None] * 7
    assert not (project.folder / "trained-negatives.jsonl").exists()


def test_the_same_ones_stay_held_out_when_others_follow(project: Project):
    fill(project, "positives", [spoken(seed=seed) for seed in range(8)])
    write_manifests(project, "typed")
    first = splits(project, "trained-positives.jsonl")
    fill(project, "positives", [spoken(seed=seed) for seed in range(8, 12)])
    write_manifests(project, "typed")
    assert first == [None, None, None, "test"] * 2
    assert splits(project, "trained-positives.jsonl") == [None, None, None, "test"] * 3


def test_other_speech_is_held_out_where_a_run_learns_it(project: Project):
    fill_for_training(project)
    write_manifests(project, "typed")
    assert splits(project, "trained-negatives.jsonl") == ["test"] * 8
    write_manifests(project, "trained")
    assert splits(project, "trained-negatives.jsonl") == [None, None, None, "test"] * 2


def test_too_little_is_refused_with_what_is_needed(project: Project):
    fill(project, "positives", [spoken()])
    fill(project, "negatives", [noise(1)])
    with pytest.raises(ConfigError, match="1 recordings of the keyword and 1 s of other speech"):
        train_project(project, "trained")
