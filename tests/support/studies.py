"""Studies that nobody ran: finished cells with given misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kws.studies.grid import Cell
from kws.studies.results import CellResult, StudyResults
from kws.studies.scoring import MissCount

CLIPS = 10


def cell_result(
    missed: Mapping[str, Sequence[int]],
    *,
    clips: int = CLIPS,
    keyword: str = "tone",
    num_recordings: int = 5,
    seed: int = 0,
    policy: str = "head",
    moving: int = 100,
    identity: str = "0123456789ab",
    precision: str = "bf16-mixed",
) -> CellResult:
    """Return a finished cell that misses these clips, by condition, at 1 false accept per hour."""
    return CellResult(
        identity=identity,
        keyword=keyword,
        num_recordings=num_recordings,
        seed=seed,
        policy=policy,
        miss_counts={
            condition: {"1": MissCount(0.5, tuple(found), clips, 2)} for condition, found in missed.items()
        },
        negative_hours=2.0,
        original_hours=1.5,
        stored_threshold=0.6,
        moving_parameters=moving,
        parameters=1000,
        train_s=3.0,
        wall_s=4.0,
        config_hash="fedcba987654",
        precision=precision,
    )


def study_of(
    cells: Mapping[Cell, CellResult], units: Mapping[str, Sequence[str]] | None = None, num_runs: int = 1
) -> StudyResults:
    """Return a study of finished cells; without ``units`` each clip has a speaker of its own."""
    keywords = {cell.keyword: result for cell, result in cells.items()}
    alone = {
        keyword: [f"{keyword} {index}" for index in range(next(iter(r.miss_counts.values()))["1"].clips)]
        for keyword, r in keywords.items()
    }
    return StudyResults(
        choices=tuple(dict.fromkeys(cell.choice for cell in cells)),
        conditions=tuple(next(iter(cells.values())).miss_counts),
        rates=(1.0,),
        compared_at=1.0,
        cells=dict(cells),
        num_runs=num_runs,
        units=units or alone,
    )
