"""Time detectors on this machine; what ``kws bench`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.benchmark import BenchReport


def bench(
    models: Sequence[Path] = (),
    openwakeword: Path | None = None,
    seconds: float = 20.0,
    rounds: int = 5,
    threads: int = 1,
) -> BenchReport:
    """Time detectors; see :func:`export.benchmark.bench` for arguments, result and errors."""
    from export.benchmark import bench as run_bench

    return run_bench(models, openwakeword, seconds, rounds, threads)
