"""A project whose keyword is a tone, which needs no recognizer to be checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from kws.workflows.project import recordings
from kws.workflows.project.folder import Project, create_project
from tests.support.projects import LevelChecker


@pytest.fixture(autouse=True)
def _checked_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "checker", LevelChecker)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "projects", "tone")
