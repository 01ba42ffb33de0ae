"""One cell of a study, a process of its own: `kws train` or `kws enroll`, and what the detector misses."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kws.errors import KwsError
from kws.workflows import folders
from kws.workflows.study.request import CellRequest
from kws.workflows.written_files import CELL

if TYPE_CHECKING:
    from kws.studies.results import CellResult

PROGRAM = "from kws.workflows.study.cell import main; main()"
"""What the process runs."""
RUNS = "runs"
"""Folder of the training runs; each is removed when its cell is finished."""
SOME = 100
"""Recordings of speech that a stored threshold is chosen on where nothing is read at it."""


class Made(NamedTuple):
    """A detector that is to be read.

    Attributes:
        run: its folder.
        model: exported.
        policy: which layers moved, or the method of enrolling.
        moving_parameters: how many.
        wall_s: seconds that its training took, earlier runs included.
        precision: in which it was trained.
    """

    run: Path
    model: Path
    policy: str
    moving_parameters: int
    wall_s: float
    precision: str


def run_cell(request: CellRequest) -> CellResult:
    """Train or enroll, export and read one cell, and write its file.

    Args:
        request: what is to be run.
    Raises:
        KwsError: it cannot be trained, or the exported file differs.
    """
    from kws.checkpoint import load_operating_point
    from kws.studies.held_out import load_test_audio
    from kws.studies.results import CellResult, write_cell
    from kws.studies.scoring import detector_scores
    from kws.workflows.study.peer import run_peer

    if request.peer is not None:
        return run_peer(request)
    started = time.monotonic()
    runs = request.folder / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    try:
        made = _trained(request, runs) if request.trainings else _enrolled(request, runs)
    except KwsError:
        _remove_runs(request, runs)
        raise
    test = load_test_audio(request.test, request.clips)
    point = load_operating_point(made.run)
    scores = detector_scores(made.model, test, request.keyword)
    found = scores.misses(test, request.rates, point.decision.at([1.0]))
    result = CellResult(
        identity=request.identity,
        keyword=request.keyword,
        num_recordings=request.num_recordings,
        seed=request.seed,
        policy=made.policy,
        miss_counts={
            name: {f"{rate:g}": count for rate, count in rates.items()} for name, rates in found.items()
        },
        negative_hours=round(test.hours, 3),
        original_hours=round(test.original_hours, 3),
        stored_threshold=point.thresholds[request.keyword],
        moving_parameters=made.moving_parameters,
        parameters=num_parameters(made.run),
        train_s=round(made.wall_s, 1),
        wall_s=round(time.monotonic() - started, 1),
        precision=made.precision,
        protocol=test.protocol.hash,
        config_hash=json.loads((made.run / "provenance.json").read_text(encoding="utf-8"))["config_hash"],
    )
    write_cell(request.folder, result)
    if not request.keep_run:
        _remove_runs(request, runs)
    return result


def _remove_runs(request: CellRequest, runs: Path) -> None:
    """Remove the runs of a cell, those that were killed as well."""
    for folder in runs.glob(f"{request.identity}-*"):
        folders.clear(folder, CELL)
        with suppress(OSError):  # somebody put something there
            folder.rmdir()


def _trained(request: CellRequest, runs: Path) -> Made:
    """Train what is requested, each run in a new folder in ``runs``."""
    from export.to_onnx import export
    from kws.workflows.train import train_request

    run, wall_s = None, 0.0
    for training in request.trainings:
        earlier, run = run, _new_folder(request, runs)
        summary = train_request(replace(training, output=run, add_to=earlier))
        wall_s += summary.metrics["wall_s"]
    assert run is not None
    metrics = summary.metrics
    return Made(
        run, export(run), metrics["policy"], metrics["moving_parameters"], wall_s, metrics["precision"]
    )


def _enrolled(request: CellRequest, runs: Path) -> Made:
    """Enroll what is requested, in a new folder in ``runs``; the fitted layer counts as what moves."""
    from kws.checkpoint import load_model
    from kws.enrollment.methods import TEXT_ALONE
    from kws.heads import PhraseWindowHead
    from kws.studies.results import NOT_TRAINED
    from kws.workflows.enroll import enroll_request

    assert request.enrollment is not None
    started, enrollment = time.monotonic(), request.enrollment
    run = _new_folder(request, runs)
    if enrollment.method in TEXT_ALONE:
        # misses are read at rates on the test audio, not at the stored threshold: little speech will do
        enrollment = replace(enrollment, negatives=(_some_of(enrollment.negatives, run),))
    made = enroll_request(replace(enrollment, output=run))
    head = load_model(run).head
    layer = head.window.parameters() if isinstance(head, PhraseWindowHead) else ()
    fitted = sum(parameter.numel() for parameter in layer)
    return Made(run, made.model, request.policy, fitted, time.monotonic() - started, NOT_TRAINED)


def _some_of(sources: Sequence[Path], run: Path) -> Path:
    """Write a manifest, beside a run, of evenly spaced recordings of several sources, and return it."""
    from data_prep import manifests

    usable = [entry for entry in manifests.read_all(sources) if entry.split != "test"]
    path = run.with_name(f"{run.name}-negatives") / "negatives.jsonl"
    return manifests.write(usable[:: max(len(usable) // SOME, 1)], path)


def _new_folder(request: CellRequest, runs: Path) -> Path:
    """Return a folder of its own, as a cell may be handed out twice."""
    return Path(tempfile.mkdtemp(prefix=f"{request.identity}-", dir=runs))


def num_parameters(run: Path) -> int:
    """Return the number of parameters of a trained model."""
    from kws.checkpoint import load_model

    return sum(parameter.numel() for parameter in load_model(run).parameters())


def main() -> None:
    """Run the cell that a line of JSON on the input requests; end at once when the input ends."""
    from kws.config import load_config
    from kws.workflows.notices import quieten_libraries
    from kws.workflows.own_process import end_with_input

    request = load_config(CellRequest, json.loads(sys.stdin.readline()), "request")
    end_with_input()
    quieten_libraries()
    run_cell(request)
