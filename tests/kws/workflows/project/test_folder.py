"""The folder of a project: what comes in and goes out, and names that would lead elsewhere."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_prep import manifests
from kws import audio
from kws.errors import ConfigError, KwsError
from kws.workflows.project.folder import (
    Project,
    create_project,
    list_projects,
    open_project,
    safe_name,
)
from tests.support.projects import fill
from tests.support.training import noise, spoken

HOSTILE = ["../../etc/passwd", "..", ".", "/abs", "a/../b", "C:\\x\\y", "\0", "", " ", "con\n", "....", "~"]


def test_a_project_has_the_name_of_its_keyword(tmp_path: Path):
    first, second = (create_project(tmp_path, "Hey, Computer!") for _ in range(2))
    assert (first.folder.name, second.folder.name) == ("Hey_Computer", "Hey_Computer-2")
    assert create_project(tmp_path, "你好", "cmn").folder.name == "你好"
    assert first.settings().keyword == "Hey, Computer!"
    (tmp_path / "other").mkdir()
    assert [found.folder.name for found in list_projects(tmp_path)] == [
        "Hey_Computer",
        "Hey_Computer-2",
        "你好",
    ]


@pytest.mark.parametrize("keyword", ["", "…", "x" * 61, "привет"])
def test_a_keyword_that_cannot_be_said_makes_no_folder(keyword: str, tmp_path: Path):
    with pytest.raises(KwsError):
        create_project(tmp_path / "projects", keyword)
    assert not (tmp_path / "projects").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_in_the_folder(name: str, project: Project):
    assert safe_name(name, "me") not in ("", ".", "..") and "/" not in safe_name(name, "me")
    (kept,) = fill(project, "positives", [spoken()], speaker=name)
    path = (project.folder / kept).resolve()
    assert path.is_file() and path.parent.parent == project.folder / "positives"
    with pytest.raises(ConfigError, match="no project of this name"):
        open_project(project.folder.parent, name)
    with pytest.raises(ConfigError, match="no recording"):
        project.take(name)


def test_recordings_come_in_are_set_aside_kept_and_removed(project: Project):
    first, second = fill(project, "positives", [spoken(seed=0), spoken(seed=1)])
    assert (first, second) == ("positives/ann/001.wav", "positives/ann/002.wav")
    (aside,) = fill(project, "positives", [spoken(seed=2)], fault="soft")
    assert aside == "set-aside/positives/ann/001.wav" and project.take(aside).is_set_aside
    fill(project, "noise", [noise(1)])
    with pytest.raises(ConfigError, match="no recording"):
        project.keep("positives/ann/009.wav")
    kept = project.keep(aside)
    assert (kept.name, kept.found.fault, kept.is_set_aside) == ("positives/ann/003.wav", "soft", False)
    project.remove(first)
    assert [take.name for take in project.takes()] == [second, kept.name, "noise/001.wav"]
    assert list(project.settings().found) == [second, "noise/001.wav", kept.name]
    (again,) = fill(project, "positives", [spoken()])
    assert again == "positives/ann/004.wav"
    assert len(manifests.read(project.folder / "positives")) == 3


def test_recordings_that_a_command_put_there_are_found(project: Project):
    audio.save(project.folder / "positives" / "bob" / "x.flac", spoken())
    (project.folder / "positives" / "bob" / "notes.txt").write_text("no audio")
    (project.folder / "positives" / "bob" / "broken.wav").write_bytes(b"RIFF")
    (take,) = project.takes()
    assert (take.name, take.speaker, take.length_s) == ("positives/bob/x.flac", "bob", pytest.approx(0.9))


def test_many_at_once_get_different_names(project: Project):
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda seed: fill(project, "positives", [spoken(seed=seed)])[0], range(16)))
    assert len(set(names)) == 16 == len(project.settings().found)


def test_settings_are_checked_and_kept(project: Project):
    project.change(threshold=0.7, false_accepts_per_hour=2.0, lexicon={"TONE": ["T", "OW", "N"]})
    settings = Project(project.folder).settings()
    assert (settings.threshold, settings.false_accepts_per_hour) == (0.7, 2.0)
    assert settings.lexicon == {"TONE": ["T", "OW", "N"]}
    project.forget_threshold()
    assert project.settings().threshold is None
    for wrong in ({"threshold": 0.0}, {"threshold": 1.5}, {"false_accepts_per_hour": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            project.change(**wrong)


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"keyword": "a", "colour": "red"})])
def test_a_damaged_project_is_told_and_passed_by(text: str, project: Project):
    (project.folder / "project.json").write_text(text)
    with pytest.raises(ConfigError, match=r"project\.json"):
        Project(project.folder)
    assert list_projects(project.folder.parent) == []
