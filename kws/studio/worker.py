"""The process that trains a project: it calls the workflow, and writes how far it is into the state file."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kws.errors import KwsError
from kws.studio.jobs import JobState, locked, write_state
from kws.workflows.project.folder import Project
from kws.workflows.project.progress import BarReader, Progress
from kws.workflows.project.training import Method, Stage, train_project

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 0.25
"""Bars move more often than a page can show."""
LONGEST_LOG = 5_000
"""Lines that are logged at most."""


class StateWriter:
    """Writes the state of a job as it changes.

    Args:
        folder: of the project.
        state: at the beginning.
    """

    def __init__(self, folder: Path, state: JobState) -> None:
        self._folder, self._state, self._written_s = folder, state, 0.0
        write_state(folder, state)

    def begin(self, stage: Stage) -> None:
        """Note that a part of the work begins."""
        self._change(stage=stage, what="", done=0, total=0)

    def move(self, progress: Progress) -> None:
        """Note how far a bar is."""
        self._state = replace(self._state, what=progress.what, done=progress.done, total=progress.total)
        if time.monotonic() - self._written_s >= WRITE_EVERY_S or progress.done == progress.total:
            self._change()

    def end(self, *, error: str = "", notes: Sequence[str] = ()) -> None:
        """Note how the work ended."""
        status = "failed" if error else "done"
        self._change(status=status, error=error, notes=tuple(notes), ended=time.time())

    def _change(self, **values: object) -> None:
        self._state = replace(self._state, **values)  # type: ignore[arg-type]
        self._written_s = time.monotonic()
        write_state(self._folder, self._state)


def work(folder: str, method: Method, how: str) -> None:
    """Train a project to its end.

    Args:
        folder: of the project.
        method: see :func:`kws.workflows.project.training.train_project`.
        how: ``resume`` goes on with a run that was stopped, ``anew`` starts one.
    """
    project, log = Project(Path(folder)), sys.stderr
    lines = 0

    def told(line: str) -> None:
        nonlocal lines
        lines += 1
        if lines <= LONGEST_LOG:
            log.write(f"{line}\n")
            log.flush()

    with locked(project.folder):
        state = JobState("running", method, "prepare", began=time.time(), pid=os.getpid())
        writer = StateWriter(project.folder, state)
        sys.stderr = BarReader(writer.move, told)
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        try:
            notes = train_project(project, method, resume=how == "resume", begin=writer.begin)
        except (KwsError, OSError, ModuleNotFoundError) as error:
            logger.warning("%s", error)
            writer.end(error=str(error))
        except Exception as error:
            logger.exception("training failed")
            writer.end(error=f"{type(error).__name__}: {error}; the file job.log of the project says more")
        else:
            writer.end(notes=notes)
        finally:
            sys.stderr = log
