"""Keep the finished cells of the study in ``benchmarks/results/study.jsonl``, and bring them back elsewhere.

    python benchmarks/study_cells.py keep --root MANIFESTS --output STUDY
    python benchmarks/study_cells.py restore --root MANIFESTS --output STUDY

A cell goes by all that determines it, what the recordings hold and the version of kws included, so that a
kept one is found again wherever copies of the same corpora lie. Kept cells of other settings are named:
``restore`` leaves them out, ``keep`` drops them. ``MANIFESTS`` is what ``study_data.py`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from benchmarks.corpora import write_rows  # noqa: E402
from kws.audio import atomic_write  # noqa: E402
from kws.studies.grid import cell_path, cells  # noqa: E402
from kws.studies.recipe import load_study  # noqa: E402
from kws.studies.results import read_cell  # noqa: E402
from kws.version import UNKNOWN_VERSION, __version__  # noqa: E402
from kws.workflows.study import claim  # noqa: E402
from kws.workflows.study.data import read_data  # noqa: E402
from kws.workflows.study.plan import plan  # noqa: E402

RECIPE = ROOT / "benchmarks" / "study.yaml"
KEPT = ROOT / "benchmarks" / "results" / "study.jsonl"


def keep(folder: Path, planned: Mapping[str, str]) -> int:
    """Add a line for each finished cell to those that are kept, and return how many there are.

    Lines of cells that would be measured otherwise now are dropped.

    Args:
        folder: of the study.
        planned: identity of each cell, by name.
    """
    rows = {row["cell"]: row for row in _kept(planned)}
    for name, identity in planned.items():
        path = cell_path(folder, identity)
        if path.is_file():
            rows[name] = {"cell": name, **json.loads(path.read_text("utf-8"))}
    write_rows(KEPT, list(rows.values()))
    return len(rows)


def restore(folder: Path, planned: Mapping[str, str]) -> int:
    """Write the kept cells that are not there, and return how many they were; see :func:`keep`."""
    restored = 0
    for row in _kept(planned):
        del row["cell"]
        path = cell_path(folder, row["identity"])
        if path.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(row) + "\n", encoding="utf-8")
        read_cell(folder, row["identity"])  # refuses what is no cell
        restored += 1
    return restored


def others(planned: Mapping[str, str]) -> list[str]:
    """Return the names of the kept cells that would be measured otherwise now, see :func:`keep`."""
    return [row["cell"] for row in _lines() if planned.get(row["cell"]) != row["identity"]]


def _kept(planned: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the kept cells of the study as it is now."""
    return [row for row in _lines() if planned.get(row["cell"]) == row["identity"]]


def _lines() -> list[dict[str, Any]]:
    """Return all kept cells."""
    lines = KEPT.read_text("utf-8").splitlines() if KEPT.is_file() else []
    return [json.loads(line) for line in lines]


def main() -> None:
    """Keep or restore, and say how many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=("keep", "restore"))
    parser.add_argument("--root", type=Path, required=True, help="folder of the manifests")
    parser.add_argument("--output", type=Path, required=True, help="folder of the study")
    arguments = parser.parse_args()
    if __version__ == UNKNOWN_VERSION:
        parser.error("kws is not installed, and a cell goes by its version; `pip install --editable .` first")
    output = arguments.output.absolute()
    config = load_study(RECIPE)
    claim(output, config)
    data = read_data(config, arguments.root.absolute(), output, progress=True)
    planned = plan(config, cells(config), data, output, output / "cache", keep_runs=False)
    identities = {cell.name: job.identity for cell, job in planned.items()}
    left = others(identities)
    if left:
        print(f"{len(left)} kept cells are of other settings: {', '.join(left)}", file=sys.stderr)
    task = keep if arguments.task == "keep" else restore
    print(f"{arguments.task}: {task(output, identities)} of {len(identities)} cells")


if __name__ == "__main__":
    main()
