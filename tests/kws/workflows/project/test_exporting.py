"""The exported model has the threshold that was picked, and a live test hears as the detector does."""

from __future__ import annotations

import numpy as np
import pytest

from kws.audio import resample, to_int16
from kws.detector import Detector
from kws.errors import ConfigError
from kws.workflows.project.exporting import export_project
from kws.workflows.project.folder import Project
from kws.workflows.project.listening import LiveTest
from tests.support.onnx_models import silence, tone, write_tone_model


@pytest.fixture
def trained(project: Project) -> Project:
    project.run.mkdir()
    write_tone_model(project.run / "model.onnx")
    return project


def test_the_exported_model_has_the_threshold_that_was_picked(trained: Project):
    path = export_project(trained)
    assert path == trained.folder / "export" / "tone.onnx"
    assert Detector(path).thresholds == {"tone": 0.5}
    trained.change(threshold=0.75)
    assert Detector(export_project(trained)).thresholds == {"tone": 0.75}
    audio = tone(1000, 1.0)
    assert np.array_equal(Detector(path).scores(audio), Detector(trained.run / "model.onnx").scores(audio))
    trained.forget_threshold()
    assert export_project(trained).read_bytes() == (trained.run / "model.onnx").read_bytes()


def test_without_a_model_there_is_nothing_to_export(project: Project):
    with pytest.raises(ConfigError, match="no model yet"):
        export_project(project)


def test_a_live_test_hears_what_the_detector_hears(trained: Project):
    waveform = np.concatenate([silence(1), tone(1000, 0.5), silence(1), tone(1000, 0.5), silence(1)])
    at_device = to_int16(resample(waveform, 16_000, 48_000))
    test = LiveTest(trained.run, 48_000)
    heard = [test.push(piece) for piece in np.array_split(at_device, 60)]
    times = [found.time_s for each in heard for found in each.detections]
    expected = Detector(trained.run).process(waveform)
    assert times == pytest.approx([found.time_s for found in expected], abs=0.05) and len(times) == 2


def test_a_threshold_moves_while_it_listens(trained: Project):
    test = LiveTest(trained.run, 16_000, threshold=1.0)
    loud = to_int16(np.concatenate([tone(1000, 0.5, 0.2), silence(1.5)]))
    assert test.push(loud).detections == []
    test.set_threshold(0.5)
    assert len(test.push(loud).detections) == 1
    with pytest.raises(ConfigError, match="threshold"):
        test.set_threshold(1.5)


@pytest.mark.parametrize("rate_hz", [0, -1, 7_999, 10**9])
def test_a_rate_that_no_microphone_has_is_refused(rate_hz: int, trained: Project):
    with pytest.raises(ConfigError, match="rate_hz"):
        LiveTest(trained.run, rate_hz)
