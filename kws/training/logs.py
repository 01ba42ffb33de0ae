"""The CSV log of a run that was stopped and goes on."""

from __future__ import annotations

import itertools
from pathlib import Path


def keep_earlier_log(folder: Path) -> None:
    """Rename ``metrics.csv`` to ``metrics-1.csv`` or the next: Lightning's logger would remove it."""
    log = folder / "metrics.csv"
    if log.exists():
        names = (folder / f"metrics-{number}.csv" for number in itertools.count(1))
        log.rename(next(name for name in names if not name.exists()))
