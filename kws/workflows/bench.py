"""Time detectors on this machine; what ``kws bench`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.benchmark import BenchReport
    from export.limits import OperatorTime as OperatorTime
    from export.streams import StreamsCost as StreamsCost


def bench(
    models: Sequence[Path] = (),
    openwakeword: Path | None = None,
    seconds: float = 20.0,
    rounds: int = 5,
    threads: int = 1,
    *,
    int8: bool = False,
    chunk_ms: Sequence[float] = (80.0,),
) -> BenchReport:
    """Time detectors; see :func:`export.benchmark.bench` for arguments, result and errors."""
    from export.benchmark import bench as run_bench

    return run_bench(models, openwakeword, seconds, rounds, threads, int8=int8, chunk_ms=chunk_ms)


def operator_times(model: Path, chunk_ms: float | None = None) -> tuple[OperatorTime, ...]:
    """Say where the time of a chunk goes; see :func:`export.limits.operator_times`."""
    from export.limits import operator_times as measure

    return measure(model, chunk_ms)


def streams_cost(model: Path, streams: int, seconds: float = 10.0, rounds: int = 3) -> StreamsCost:
    """Say what many streams take of a core; see :func:`export.streams.streams_cost`."""
    from export.streams import streams_cost as measure

    return measure(model, streams, seconds, rounds)
