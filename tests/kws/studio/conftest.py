"""A studio without a network: its application, a client with a session, and a project of a tone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.workflows.project import recordings
from tests.support.projects import LevelChecker
from tests.support.studio import Studio, open_studio


@pytest.fixture(autouse=True)
def _checked_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "checker", LevelChecker)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with open_studio(tmp_path / "projects") as opened:
        yield opened
