"""A recording comes in: decoded within limits, checked, and refused with a sentence that names no path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.errors import AudioError, ConfigError
from kws.workflows.project.folder import Project
from kws.workflows.project.recordings import ProjectLimits, receive_take
from tests.support.projects import SILENT
from tests.support.recordings import write_audio
from tests.support.training import noise, spoken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in" / "file.wav"


def test_a_recording_at_another_rate_becomes_16_khz(project: Project, path: Path):
    write_audio(path, audio.resample(spoken(), 16_000, 44_100), rate=44_100)
    take = receive_take(project, "positives", path, speaker="ann", origin="mine.wav")
    assert (take.found.origin, take.found.fault, take.length_s) == (
        "mine.wav",
        "",
        pytest.approx(0.9, abs=0.01),
    )
    assert audio.info(project.folder / take.name).sample_rate == 16_000


def test_a_recording_with_a_fault_is_set_aside(project: Project, path: Path):
    write_audio(path, np.zeros(16_000, np.float32))
    take = receive_take(project, "positives", path)
    assert (take.is_set_aside, take.found.fault, take.found.note) == (True, "silent", SILENT)
    assert receive_take(project, "noise", path).found.fault == "silent"
    write_audio(path, noise(1, level=0.002))
    assert not receive_take(project, "noise", path).is_set_aside


@pytest.mark.parametrize("content", [b"no audio at all", b"", b"RIFF\x00\x00\x00\x00WAVE", b"\x00" * 5000])
def test_what_is_no_audio_is_refused_without_its_path(content: bytes, project: Project, path: Path):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(AudioError) as refused:
        receive_take(project, "negatives", path)
    assert str(path) not in str(refused.value) and project.takes() == []


def test_what_is_too_long_too_short_or_too_much_is_refused(project: Project, path: Path):
    limits = ProjectLimits(positives_s=1.0, num_takes=2)
    write_audio(path, noise(1.5))
    with pytest.raises(AudioError, match="longer than 1 s"):
        receive_take(project, "positives", path, limits=limits)
    write_audio(path, noise(0.05))
    with pytest.raises(AudioError, match=r"0\.05 s long"):
        receive_take(project, "positives", path, limits=limits)
    write_audio(path, noise(0.5))
    for _ in range(2):
        receive_take(project, "positives", path, limits=limits)
    with pytest.raises(ConfigError, match="holds 2 recordings"):
        receive_take(project, "positives", path, limits=limits)
