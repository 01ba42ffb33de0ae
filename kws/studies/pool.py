"""Runs the cells of a study, several at once, each in a process of its own: a dead one takes no other along.

joblib hands the cells out, to threads of this machine that each watch one process, or to the workers of a
Dask cluster. A cell's file is written by its process; what comes back here is only what went wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from kws.errors import DependencyError
from kws.studies.grid import cell_path

MARKER = "study.json"
"""File by which a worker knows that it sees the folder of the study."""
LOGS = "logs"
POLL_S = 0.5
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
LAST_LINE = 300
"""Characters of the last line of a log that a failure shows."""


@dataclass(frozen=True, slots=True)
class Job:
    """A cell to run."""

    name: str
    """What it is called in messages."""
    identity: str
    """Hash of all that determines it; names its file."""
    values: dict[str, Any]
    """What its process is told, as JSON holds it."""

    def log(self, folder: Path) -> Path:
        """Return where its process writes."""
        return folder / LOGS / f"{self.name}.log"


@dataclass(frozen=True, slots=True)
class Failure:
    """A cell that did not finish."""

    name: str
    reason: str
    log: Path

    def __str__(self) -> str:
        """Return a sentence."""
        return f"{self.name}: {self.reason}; see {self.log}"


def run_job(job: Job, folder: Path, program: str, marker: str = MARKER) -> Failure | None:
    """Run one cell in a process of its own, on one thread; a finished one is left as it is.

    Args:
        job: the cell.
        folder: of the study; all machines see it under this path.
        program: Python code of the process, which reads ``job.values`` as a line of JSON from its input,
            writes the cell's file, and ends when its input does.
        marker: file by which it is known that the folder is seen.
    Returns:
        What went wrong, or None.
    """
    if not (folder / marker).is_file():
        reason = f"{folder} is not seen from here; give an `output` that every machine shares"
        return Failure(job.name, reason, job.log(folder))
    if cell_path(folder, job.identity).is_file():
        return None
    log = job.log(folder)
    log.parent.mkdir(parents=True, exist_ok=True)
    root = str(Path(__file__).resolve().parents[2])  # the checkout, where nothing is installed
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, **dict.fromkeys(THREAD_VARIABLES, "1")}
    environment["PYTHONUNBUFFERED"] = "1"  # else what was printed before an error stands behind it in the log
    with log.open("wb") as output:
        # The input stays open while this process lives; the cell's ends with it and leaves no orphan.
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process:
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(job.values).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it ended at once; its log says why
            code = process.wait()
    if code == 0 and cell_path(folder, job.identity).is_file():
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1][-LAST_LINE:] if lines else "nothing was written"
    return Failure(job.name, f"ended by signal {-code}: {last}" if code < 0 else last, log)


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    program: str,
    *,
    num_jobs: int = 1,
    dask: str | None = None,
    num_finished: int = 0,
    progress: bool = False,
    marker: str = MARKER,
    title: str = "study",
    unit: str = "cell",
) -> list[Failure]:
    """Run cells and return those that failed; the others go on.

    Args:
        jobs: what is to be run.
        folder: of the study.
        program: see :func:`run_job`.
        num_jobs: processes at once on this machine.
        dask: address of a Dask scheduler, whose workers run the cells instead.
        num_finished: cells that were finished before, for the bar.
        progress: show a bar with the time left.
        marker: see :func:`run_job`.
        title: of the bar.
        unit: of the bar: what a job is.
    Raises:
        DependencyError: ``dask`` is given and the package is not installed.
        ConfigError: no scheduler answers at the address.
    """
    if not jobs:
        return []
    with _workers(num_jobs, dask), _bar(jobs, folder, num_finished, progress, title, unit):
        found = Parallel(batch_size=1, pre_dispatch="all")(
            delayed(run_job)(job, folder, program, marker) for job in jobs
        )
    return [failure for failure in found if failure is not None]


@contextmanager
def _workers(num_jobs: int, dask: str | None) -> Iterator[None]:
    """Make joblib use threads of this machine, or the workers of a Dask cluster."""
    if dask is None:
        with parallel_config(backend="threading", n_jobs=num_jobs):
            yield
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise DependencyError(
            f'`dask` needs {error.name}, which is not installed: `pip install "kws[dask]"`'
        ) from error
    from kws.errors import ConfigError

    try:
        client = Client(dask, timeout=20)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"`dask`: no scheduler answers at {dask} ({error}); start one with `dask scheduler` and workers "
            "with `dask worker ADDRESS --nthreads 1`"
        ) from error
    with client, parallel_config(backend="dask"):
        yield


@contextmanager
def _bar(
    jobs: Sequence[Job], folder: Path, num_finished: int, progress: bool, title: str, unit: str
) -> Iterator[None]:
    """Show how many cells are finished, by their files, wherever they are run."""
    stop = threading.Event()
    with tqdm(
        total=num_finished + len(jobs),
        initial=num_finished,
        desc=title,
        unit=unit,
        disable=None if progress else True,
        smoothing=0.1,
    ) as bar:

        def watch() -> None:
            while True:
                ended = stop.wait(POLL_S)
                finished = sum(cell_path(folder, job.identity).is_file() for job in jobs)
                bar.update(num_finished + finished - bar.n)
                if ended:
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
