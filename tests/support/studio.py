"""The studio for tests: as an application that a client calls, or as a process that a browser opens."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kws.audio import to_int16
from kws.studio.api import StudioState
from kws.studio.jobs import Jobs, JobState
from kws.studio.security import Session
from kws.studio.uploads import UploadLimits
from kws.workflows.project.folder import Project, create_project
from kws.workflows.project.recordings import ProjectLimits

ADDRESS = "http://127.0.0.1:8000"


@dataclass
class Studio:
    """A studio and a client that has a session.

    Attributes:
        client: sends what the studio's own page would.
        stranger: sends the same without a session.
        state: what the addresses share.
        project: of the keyword ``tone``.
    """

    client: object
    stranger: object
    state: StudioState
    project: Project


@contextmanager
def open_studio(
    folder: Path, uploads: UploadLimits | None = None, limits: ProjectLimits | None = None
) -> Iterator[Studio]:
    """Open a studio with one project."""
    testclient = pytest.importorskip("starlette.testclient", reason='no starlette: pip install "kws[studio]"')
    from kws.studio.app import create_app

    state, session = (
        StudioState(folder, Jobs(), uploads or UploadLimits(), limits or ProjectLimits()),
        Session(),
    )
    app = create_app(state, session)
    with testclient.TestClient(app, base_url=ADDRESS, headers={"origin": ADDRESS}) as client:
        stranger = testclient.TestClient(app, base_url=ADDRESS, headers={"origin": ADDRESS})
        assert client.get(f"/?token={session.token}", follow_redirects=False).status_code == 303
        yield Studio(client, stranger, state, create_project(folder, "tone"))


def wav(waveform: np.ndarray, rate: int = 16_000) -> bytes:
    """Return (samples,) float32 as the bytes of a WAV file."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_int16(waveform).astype("<i2").tobytes())
    return held.getvalue()


@contextmanager
def running_studio(folder: Path) -> Iterator[str]:
    """Run ``kws studio`` as a process; gives the address with the token."""
    command = [sys.executable, "-m", "kws", "studio", "--projects", str(folder), "--no-open"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"{line} {process.stderr.read() if process.stderr else ''}"
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def waited(
    look: Callable[[], JobState], until: Callable[[JobState], bool], longest_s: float = 90.0
) -> JobState:
    """Return the state of a job as soon as it is as wished."""
    end = time.monotonic() + longest_s
    while not until(state := look()):
        assert time.monotonic() < end, state
        time.sleep(0.05)
    return state
