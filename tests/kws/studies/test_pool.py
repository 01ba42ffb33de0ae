"""Cells in processes of their own: what a failure, a kill or a lost worker costs, and what it does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kws.errors import ConfigError, DependencyError
from kws.studies.grid import cell_path
from kws.studies.pool import MARKER, Job, run_job, run_jobs

REPOSITORY = Path(__file__).parents[3]

PROGRAM = """
import json, os, pathlib, sys, threading, time
order = json.loads(sys.stdin.readline())
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
folder = pathlib.Path(order["folder"])
(folder / f"{order['identity']}.pid").write_text(str(os.getpid()))
print("threads", os.environ["OMP_NUM_THREADS"])
if order.get("error"):
    raise RuntimeError(order["error"])
if order.get("signal"):
    os.kill(os.getpid(), order["signal"])
while not (folder / "go").exists() and order.get("waits"):
    time.sleep(0.02)
path = folder / "cells" / f"{order['identity']}.json"
path.parent.mkdir(exist_ok=True)
path.with_suffix(".new").write_text(json.dumps({"value": order["value"]}))
path.with_suffix(".new").rename(path)
"""
"""Writes the file of a cell, as a real one does in the end."""


def job(folder: Path, number: int, **more: object) -> Job:
    identity = f"{number:012x}"
    return Job(
        f"cell-{number}", identity, {"folder": str(folder), "identity": identity, "value": number, **more}
    )


def value(folder: Path, number: int) -> int:
    return json.loads(cell_path(folder, f"{number:012x}").read_text())["value"]


def wait_for(happened: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def ask_ps(pid: int, field: str) -> str:
    """What `ps` says of a process; empty where there is none."""
    return subprocess.run(
        ["ps", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()


def alive(pid: int) -> bool:
    return ask_ps(pid, "stat")[:1] not in ("", "Z")


def pid_of(folder: Path, number: int) -> int:
    """Process of a cell, 0 before it has started."""
    path = folder / f"{number:012x}.pid"
    return int(path.read_text() or 0) if path.exists() else 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / MARKER).write_text("{}")
    return tmp_path


def test_every_cell_is_run_on_one_thread_and_none_twice(folder: Path):
    jobs = [job(folder, number) for number in range(4)]
    assert run_jobs(jobs, folder, PROGRAM, num_jobs=2) == []
    assert [value(folder, number) for number in range(4)] == [0, 1, 2, 3]
    assert jobs[0].log(folder).read_text() == "threads 1\n"
    written = [cell_path(folder, entry.identity).stat().st_mtime_ns for entry in jobs]
    assert run_jobs(jobs, folder, "raise SystemExit(1)") == []
    assert [cell_path(folder, entry.identity).stat().st_mtime_ns for entry in jobs] == written


def test_failures_are_returned_with_their_logs_and_stop_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    jobs = [
        job(folder, 0, error="the file is damaged"),
        job(folder, 1),
        job(folder, 2, signal=signal.SIGKILL),
        job(folder, 3),
    ]
    raised, killed = run_jobs(jobs, folder, PROGRAM, num_jobs=1)
    assert (raised.name, killed.name) == ("cell-0", "cell-2")
    assert str(raised) == f"cell-0: RuntimeError: the file is damaged; see {folder / 'logs' / 'cell-0.log'}"
    assert "Traceback" in raised.log.read_text()
    assert killed.reason == "ended by signal 9: threads 1"
    assert (value(folder, 1), value(folder, 3)) == (1, 3)
    assert run_jobs([job(folder, 0), job(folder, 2)], folder, PROGRAM) == []  # the same again, mended


def test_a_program_that_writes_no_cell_has_failed(folder: Path):
    (failure,) = run_jobs([job(folder, 0)], folder, "print('all is well')")
    assert failure.reason == "all is well"


def test_a_folder_that_is_not_seen_is_named(tmp_path: Path):
    failure = run_job(job(tmp_path, 0), tmp_path, PROGRAM)
    assert failure is not None and "give an `output` that every machine shares" in failure.reason


def test_a_kill_keeps_finished_cells_and_leaves_no_orphan(folder: Path):
    whole = (
        "import sys; from pathlib import Path; from tests.kws.studies.test_pool import *;"
        "f = Path(sys.argv[1]); run_jobs([job(f, 0), job(f, 1, waits=True), job(f, 2)], f, PROGRAM)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, "-c", whole, str(folder)], env=environment) as process:
        try:
            wait_for(lambda: pid_of(folder, 1) > 0, 180)
        finally:
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: not alive(pid_of(folder, 1)))
    assert value(folder, 0) == 0 and not cell_path(folder, f"{1:012x}").exists()
    first = cell_path(folder, f"{0:012x}").stat().st_mtime_ns
    (folder / "go").touch()
    assert run_jobs([job(folder, n, waits=True) for n in range(3)], folder, PROGRAM) == []
    assert [value(folder, number) for number in range(3)] == [0, 1, 2]
    assert cell_path(folder, f"{0:012x}").stat().st_mtime_ns == first


@pytest.mark.slow
def test_dask_workers_run_the_cells_and_a_lost_one_costs_no_finished_cell(folder: Path):
    distributed = pytest.importorskip("distributed")
    jobs = [job(folder, number, waits=number > 3) for number in range(8)]
    lost: list[int] = []

    def lose_a_worker() -> None:
        """Kill one of the two workers while both hold a cell that waits and four are finished."""
        wait_for(lambda: all(cell_path(folder, jobs[n].identity).exists() for n in range(4)), 150)
        wait_for(lambda: any(pid_of(folder, n) for n in range(4, 8)), 150)
        cell = next(pid_of(folder, n) for n in range(4, 8) if pid_of(folder, n))
        lost.append(int(ask_ps(cell, "ppid")))
        os.kill(lost[0], signal.SIGKILL)
        wait_for(lambda: not alive(cell))
        (folder / "go").touch()

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        killer = threading.Thread(target=lose_a_worker)
        killer.start()
        failures = run_jobs(jobs, folder, PROGRAM, dask=cluster.scheduler_address)
        killer.join()
    assert failures == [] and lost and not alive(lost[0])
    assert [value(folder, number) for number in range(8)] == list(range(8))


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(folder: Path):
    pytest.importorskip("distributed")
    with pytest.raises(ConfigError, match="`dask`: no scheduler answers at tcp://127.0.0.1:9"):
        run_jobs([job(folder, 0)], folder, PROGRAM, dask="tcp://127.0.0.1:9")


def test_dask_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DependencyError, match=r'`dask` needs distributed.*pip install "kws\[dask\]"'):
        run_jobs([job(folder, 0)], folder, PROGRAM, dask="tcp://127.0.0.1:8786")
