"""One cell of a study, a process of its own: `kws train`, `kws export`, and what the detector misses."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kws.study.results import CellResult

PROGRAM = "from kws.cli.study_cell import main; main()"
"""What the process runs."""
RUNS = "runs"
"""Folder of the training runs; each is removed when its cell is finished."""
SHORT_DEV_HOURS = 0.01


@dataclass(frozen=True)
class CellOrder:
    """All that the process is told."""

    folder: str
    """Of the study."""
    identity: str
    """Hash of all that determines the cell."""
    keyword: str
    positives: str | None
    """Manifest of the drawn recordings; None is none."""
    num_recordings: int
    held_out: bool
    """Training can hold recordings out, which decides when it stops."""
    negatives: tuple[str, ...]
    noise: tuple[str, ...]
    seed: int
    policy: str
    """As resolved."""
    overrides: tuple[str, ...]
    """Settings as ``kws train --set`` takes them."""
    synthetic: int | None
    confusables: int
    language: str
    cache: str
    """Folder of decoded audio and synthetic voices, made before."""
    test: str
    """Folder of the test audio."""
    clips: str
    """Name of the keyword's clips there."""
    rates: tuple[float, ...]
    keep_run: bool
    """Leave the folder of the run."""


def run_cell(order: CellOrder) -> CellResult:
    """Train, export and read one cell, and write its file.

    Args:
        order: what is to be run.
    Raises:
        KwsError: it cannot be trained, or the exported file differs.
    """
    from export.to_onnx import export
    from kws.checkpoint import load_operating_point
    from kws.cli.train import train
    from kws.decisions import DecisionConfig
    from kws.study.held_out import load_test_audio
    from kws.study.results import CellResult, write_cell
    from kws.study.scoring import detector_scores, read_misses

    started = time.monotonic()
    runs = Path(order.folder) / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    run = Path(
        tempfile.mkdtemp(prefix=f"{order.identity}-", dir=runs)
    )  # another one of a cell handed out twice
    overrides = [
        f"train.transfer.policy={order.policy}",
        f"train.seed={order.seed}",
        "train.num_workers=0",
        "train.dev_copies=0",  # misses are read at rates on the test audio, not at the stored threshold
    ]
    if not order.held_out:
        # Dev is then read after each round for the log alone: the last round is what is kept.
        overrides.append(f"train.dev_hours={SHORT_DEV_HOURS}")
    summary = train(
        [order.keyword],
        [] if order.positives is None else [Path(order.positives)],
        [Path(source) for source in order.negatives],
        run,
        noise=[Path(source) for source in order.noise],
        overrides=[*order.overrides, *overrides],
        cache=Path(order.cache),
        num_workers=1,
        synthetic=order.synthetic,
        confusables=order.confusables,
        language=order.language,
    )
    model = export(run)
    test = load_test_audio(Path(order.test), order.clips)
    scores, negatives, hop_s = detector_scores(model, test)
    point = load_operating_point(run)
    config = DecisionConfig((1.0,), point.smoothing_frames, point.refractory_s)
    found = read_misses(scores, negatives, test.hours, order.rates, config, hop_s)
    result = CellResult(
        identity=order.identity,
        keyword=order.keyword,
        num_recordings=order.num_recordings,
        seed=order.seed,
        policy=summary.metrics["policy"],
        readings={
            name: {f"{rate:g}": reading for rate, reading in rates.items()} for name, rates in found.items()
        },
        negative_hours=round(test.hours, 3),
        original_hours=round(test.original_hours, 3),
        stored_threshold=point.thresholds[order.keyword],
        moving_parameters=summary.metrics["moving_parameters"],
        parameters=num_parameters(run),
        train_s=summary.metrics["wall_s"],
        wall_s=round(time.monotonic() - started, 1),
        config_hash=json.loads((run / "provenance.json").read_text(encoding="utf-8"))["config_hash"],
    )
    write_cell(Path(order.folder), result)
    if not order.keep_run:
        for folder in runs.glob(f"{order.identity}-*"):  # also what was killed
            shutil.rmtree(folder, ignore_errors=True)
    return result


def num_parameters(run: Path) -> int:
    """Return the number of parameters of a trained model."""
    from kws.checkpoint import load_model

    return sum(parameter.numel() for parameter in load_model(run).parameters())


def main() -> None:
    """Run the cell that a line of JSON on the input orders; end at once when the input ends."""
    from kws.cli import quieten_libraries
    from kws.config import load_config

    order = load_config(CellOrder, json.loads(sys.stdin.readline()), "order")
    threading.Thread(target=_end_with_input, daemon=True).start()
    quieten_libraries()
    run_cell(order)


def _end_with_input() -> None:
    """Wait until the process that ordered the cell is gone, then end: nobody would wait for the result."""
    sys.stdin.read()
    os._exit(1)
