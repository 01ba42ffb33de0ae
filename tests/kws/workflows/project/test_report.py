"""The report of a project: what was missed can be played, and too little is said."""

from __future__ import annotations

import json

import pytest

from kws.errors import ConfigError
from kws.workflows.project.folder import Project
from kws.workflows.project.report import measure, read_report
from kws.workflows.project.sensitivity import read_sensitivity
from kws.workflows.project.training import write_manifests
from tests.support.onnx_models import write_tone_model
from tests.support.projects import fill
from tests.support.training import noise, spoken


@pytest.fixture
def trained(project: Project) -> Project:
    """A project with a detector of 1000 Hz."""
    project.run.mkdir()
    write_tone_model(project.run / "model.onnx")
    return project


def test_nothing_can_be_measured_without_a_model(project: Project):
    with pytest.raises(ConfigError, match="no model yet"):
        measure(project)
    assert read_report(project) is None


def test_what_is_lacking_is_told(trained: Project):
    write_manifests(trained, "typed")
    assert measure(trained).lacking == ("positives", "negatives")
    fill(trained, "positives", [spoken()])
    write_manifests(trained, "typed")
    assert measure(trained).lacking == ("negatives",) == read_report(trained).lacking


@pytest.mark.slow
def test_held_out_recordings_are_measured_and_misses_are_named(trained: Project):
    hz = [1000.0] * 8
    hz[3] = 3000.0  # one of the two that are held out
    fill(trained, "positives", [spoken(each, seed=0) for each in hz])
    fill(trained, "negatives", [noise(2), spoken(seed=1)])
    write_manifests(trained, "typed")
    report = measure(trained)
    assert (report.held_out, report.num_clips, report.num_missed, report.num_false) == (True, 2, 1, 1)
    assert [place.name for place in report.missed] == ["positives/ann/004.wav"]
    assert [place.name for place in report.fired_on] == ["negatives/ann/002.wav"]
    assert report.miss_low < 0.1 and report.miss_high > 0.9
    assert read_report(trained) == report
    assert (trained.report / "det.png").read_bytes().startswith(b"\x89PNG")
    assert (trained.report / "report.html").is_file()
    trained.remove("positives/ann/004.wav")
    trained.remove("positives/ann/008.wav")
    assert not measure(trained).held_out


def test_what_training_counted_is_read(trained: Project):
    assert read_sensitivity(trained) is None
    metrics = {"false_accepts": {"tone": [[0.2, 5], [0.9, 0]]}, "dev_hours": 2.5, "thresholds": {"tone": 0.6}}
    (trained.run / "metrics.json").write_text(json.dumps({**metrics, "dev_copies": 0}))
    found = read_sensitivity(trained)
    assert found is not None and (found.thresholds, found.events) == ([0.2, 0.9], [5, 0])
    assert (found.hours, found.source, found.chosen) == (2.5, "shipped", 0.6)
    (trained.run / "metrics.json").write_text(json.dumps({**metrics, "dev_copies": 3.0}))
    assert read_sensitivity(trained).source == "own"
