"""Training in its own process: told as it goes, stopped, killed, and gone on with from where it was."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from kws.errors import ConfigError
from kws.studio.jobs import Jobs, JobState, is_locked, read_state, write_state
from kws.workflows.project.folder import Project, create_project
from kws.workflows.project.report import read_report
from kws.workflows.project.sensitivity import read_sensitivity
from tests.support.projects import fill_for_training
from tests.support.studio import waited
from tests.support.training import SHORT, tiny_weights


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose training takes 40 steps of a tiny model."""
    made = create_project(tmp_path / "projects", "tone")
    fill_for_training(made)
    weights = tiny_weights(tmp_path / "encoder")
    values = json.loads((made.folder / "project.json").read_text())
    values["num_synthetic"] = 0
    values["overrides"] = {
        "train": [
            *SHORT,
            f"model.weights={weights}",
            "model.depth=2",
            "train.epochs=5",
            "train.steps_per_epoch=8",
        ]
    }
    (made.folder / "project.json").write_text(json.dumps(values))
    return made


def test_a_job_that_says_it_runs_but_holds_no_lock_was_stopped(tmp_path: Path):
    project, jobs = create_project(tmp_path, "tone"), Jobs()
    assert jobs.state(project).status == "none" and not is_locked(project.folder)
    write_state(project.folder, JobState("running", stage="train", done=3, total=9))
    state = jobs.state(project)
    assert (state.status, state.done, state.total) == ("stopped", 3, 9)
    (project.folder / "job.json").write_text("{")
    assert jobs.state(project).status == "none"
    jobs.cancel(project)


@pytest.mark.slow
def test_a_failure_is_told_with_what_to_do(tmp_path: Path):
    project, jobs = create_project(tmp_path, "tone"), Jobs()
    jobs.start(project, "trained")
    with pytest.raises(ConfigError, match="trained already"):
        jobs.start(project, "typed")
    with pytest.raises(ConfigError, match="another project"):
        jobs.start(create_project(tmp_path, "other"), "typed")
    state = waited(lambda: jobs.state(project), lambda state: state.status != "running")
    assert state.status == "failed" and "0 recordings of the keyword" in state.error


@pytest.mark.slow
def test_a_killed_training_goes_on_from_where_it_was(project: Project):
    first, second = Jobs(), Jobs()  # the second is that of a server that was started anew
    first.start(project, "trained")
    moving = waited(
        lambda: second.state(project),
        lambda state: (project.run / "checkpoints" / "last.ckpt").is_file() and state.done > 8,
    )
    assert (moving.status, moving.stage, moving.total) == ("running", "train", 40)
    os.kill(moving.pid, signal.SIGKILL)
    waited(lambda: second.state(project), lambda state: state.status == "stopped")
    second.start(project, "trained", resume=True)
    state = waited(lambda: second.state(project), lambda state: state.status != "running")
    assert state.status == "done", (state, (project.folder / "job.log").read_text())
    assert any("went on from its last checkpoint" in note for note in state.notes)
    assert project.model is not None and (project.folder / "export" / "tone.onnx").is_file()
    assert read_state(project.folder).ended > 0
    found, report = read_sensitivity(project), read_report(project)
    assert found is not None and found.source == "own" and found.events[-1] == 0
    assert report is not None and report.held_out and report.num_clips == 3


@pytest.mark.slow
def test_a_training_is_cancelled_by_a_server_that_did_not_start_it(project: Project):
    first, second = Jobs(), Jobs()
    first.start(project, "trained")
    waited(lambda: second.state(project), lambda state: state.pid > 0)
    with pytest.raises(ConfigError, match="trained already"):
        second.start(project, "trained")
    second.cancel(project)
    assert second.state(project).status == "stopped" and not is_locked(project.folder)
    assert first.state(project).status == "stopped"


@pytest.mark.slow
def test_a_server_that_ends_stops_its_training(project: Project):
    jobs = Jobs()
    jobs.start(project, "trained")
    waited(lambda: jobs.state(project), lambda state: state.pid > 0)
    jobs.stop_all()
    assert jobs.state(project).status == "stopped" and not is_locked(project.folder)
