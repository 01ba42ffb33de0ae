"""Training in a process of its own: its state is on disk, so that nothing is lost with page or server.

The process holds a lock on a file of the project as long as it lives. A job whose lock is free and that does
not say how it ended was stopped, and can go on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from kws.audio import atomic_write
from kws.config import load_config, to_dict
from kws.errors import ConfigError, KwsError
from kws.workflows.project.folder import Project
from kws.workflows.project.training import Method

STATE, LOCK, LOG = "job.json", ".job.lock", "job.log"
"""Files of a job in the folder of its project."""
STOPPING_S = 5.0
"""A process that has not ended so long after it was asked to is killed."""
START_S = 5.0
"""So long a new process may wait for the lock."""

JobStatus = Literal["none", "running", "stopped", "done", "failed"]


@dataclass(frozen=True, slots=True)
class JobState:
    """What is known of the last training of a project; the process writes it, the page shows it."""

    status: JobStatus = "none"
    """``stopped`` was cancelled, or ended with the machine, and can go on."""
    method: Method = "typed"
    """What is done."""
    stage: str = ""
    """Part of the work: see :data:`kws.workflows.project.training.Stage`."""
    what: str = ""
    """Title of the bar that moves."""
    done: int = 0
    """Of ``total``."""
    total: int = 0
    """All there is to do in this bar; 0 where that is unknown."""
    began: float = 0.0
    """When the job began, in seconds since 1970."""
    ended: float = 0.0
    """When it ended; 0 before."""
    error: str = ""
    """Why it failed, and what to do."""
    notes: tuple[str, ...] = ()
    """Sentences for the person."""
    pid: int = 0
    """Of the process."""


class Jobs:
    """The trainings that run; as many at once as ``most``.

    Args:
        most: a training takes a processor by itself.
    """

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def start(self, project: Project, method: Method, *, resume: bool = False) -> None:
        """Start a training, or go on with one that was stopped.

        Raises:
            ConfigError: one runs already.
        """
        with self._lock:
            self._forget_ended()
            if self.state(project).status == "running":
                raise ConfigError("this project is being trained already; wait, or cancel it")
            if len(self._processes) >= self._most:
                raise ConfigError("another project is being trained; wait until it is done, or cancel it")
            folder = project.folder.absolute()
            write_state(folder, JobState("running", method, "prepare", began=time.time()))
            program = "import sys; from kws.studio.worker import work; work(*sys.argv[1:])"
            words = [sys.executable, "-c", program, str(folder), method, "resume" if resume else "anew"]
            with (folder / LOG).open("wb") as log:
                self._processes[folder] = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

    def state(self, project: Project) -> JobState:
        """Return the state of the last training of a project, whoever started it."""
        folder = project.folder.absolute()
        state = read_state(folder)
        if state.status != "running" or self._is_alive(folder):
            return state
        state = read_state(folder)  # it may have ended in between
        return load_config(JobState, {**to_dict(state), "status": "stopped"}) if _runs(state) else state

    def cancel(self, project: Project) -> None:
        """Stop a training; what it has done is kept, so that it can go on."""
        folder = project.folder.absolute()
        process = self._processes.get(folder)
        pid = process.pid if process is not None else read_state(folder).pid
        if not self._is_alive(folder) or pid <= 0:
            return
        _end(pid, partial(self._is_alive, folder))

    def stop_all(self) -> None:
        """Stop what this server has started."""
        with self._lock:
            self._forget_ended()
            for folder, process in self._processes.items():
                _end(process.pid, partial(self._is_alive, folder))

    def _is_alive(self, folder: Path) -> bool:
        process = self._processes.get(folder)
        return (process is not None and process.poll() is None) or is_locked(folder)

    def _forget_ended(self) -> None:
        self._processes = {
            folder: process for folder, process in self._processes.items() if process.poll() is None
        }


def _runs(state: JobState) -> bool:
    return state.status == "running"


def _end(pid: int, is_alive: Callable[[], bool]) -> None:
    """Ask the group of a process to end, and kill it where it does not."""
    for number, wait_s in ((signal.SIGTERM, STOPPING_S), (signal.SIGKILL, STOPPING_S)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        until = time.monotonic() + wait_s
        while is_alive() and time.monotonic() < until:
            time.sleep(0.05)
        if not is_alive():
            return


def read_state(folder: Path) -> JobState:
    """Return what the file says; the state of no job where there is none, or a damaged one."""
    try:
        return load_config(JobState, json.loads((folder / STATE).read_text(encoding="utf-8")), STATE)
    except (OSError, ValueError, KwsError):
        return JobState()


def write_state(folder: Path, state: JobState) -> None:
    """Write the state of a job."""
    with atomic_write(folder / STATE) as temporary:
        temporary.write_text(json.dumps(to_dict(state), ensure_ascii=False) + "\n", encoding="utf-8")


def is_locked(folder: Path) -> bool:
    """Tell whether a process holds the lock of a job."""
    import fcntl

    path = folder / LOCK
    if not path.is_file():
        return False
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a job; it is free again when the process ends, in whatever way.

    Raises:
        ConfigError: another process holds it.
    """
    import fcntl

    with (folder / LOCK).open("a+b") as file:
        until = time.monotonic() + START_S
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise ConfigError("this project is being trained already; wait, or cancel it") from error
                time.sleep(0.05)
        yield
