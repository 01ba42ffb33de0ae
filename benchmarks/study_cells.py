"""Keep the finished cells of the study in ``benchmarks/results/study.jsonl``, and bring them back elsewhere.

    python benchmarks/study_cells.py keep --root MANIFESTS --output STUDY
    python benchmarks/study_cells.py restore --root MANIFESTS --output STUDY

A cell goes by all that determines it, the time of change of each recording included, so that a copy of the
same corpora would be run anew. What is restored is found by its name instead, and only for the encoder and
the settings that it was measured with. ``MANIFESTS`` is what ``study_data.py`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from benchmarks.corpora import write_rows  # noqa: E402
from kws.audio import atomic_write  # noqa: E402
from kws.cli.recordings import Synthesis  # noqa: E402
from kws.cli.study import claim, plan, resolved_settings  # noqa: E402
from kws.cli.study_data import read_data, weights_fingerprint  # noqa: E402
from kws.config import config_hash  # noqa: E402
from kws.study.grid import cell_path, cells  # noqa: E402
from kws.study.recipe import load_study  # noqa: E402
from kws.study.results import read_cell  # noqa: E402

RECIPE = ROOT / "benchmarks" / "study.yaml"
KEPT = ROOT / "benchmarks" / "results" / "study.jsonl"


class Place(NamedTuple):
    """Where a cell of the study belongs.

    Attributes:
        path: its file in the folder of the study.
        made_with: hash of the encoder and of all settings.
    """

    path: Path
    made_with: str


def keep(places: dict[str, Place]) -> int:
    """Add a line for each finished cell, by name, to those that are kept, and return how many there are.

    Lines of cells that would be measured otherwise now are dropped.
    """
    rows = {row["cell"]: row for row in _kept() if _is_of(row, places)}
    for name, (path, made_with) in places.items():
        if path.is_file():
            rows[name] = {"cell": name, "made_with": made_with, **json.loads(path.read_text("utf-8"))}
    write_rows(KEPT, list(rows.values()))
    return len(rows)


def restore(places: dict[str, Place]) -> int:
    """Write the kept cells that are not there under their new identities, and return how many there are."""
    restored = 0
    for row in _kept():
        if not _is_of(row, places) or places[row["cell"]].path.is_file():
            continue
        path = places[row.pop("cell")].path
        del row["made_with"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({**row, "identity": path.stem}) + "\n", encoding="utf-8")
        read_cell(path.parents[1], path.stem)  # refuses what is no cell
        restored += 1
    return restored


def _kept() -> list[dict[str, Any]]:
    lines = KEPT.read_text("utf-8").splitlines() if KEPT.is_file() else []
    return [json.loads(line) for line in lines]


def _is_of(row: dict[str, Any], places: dict[str, Place]) -> bool:
    """Tell whether a kept cell is one of the study as it is now."""
    return row["cell"] in places and places[row["cell"]].made_with == row.get("made_with")


def main() -> None:
    """Keep or restore, and say how many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=("keep", "restore"))
    parser.add_argument("--root", type=Path, required=True, help="folder of the manifests")
    parser.add_argument("--output", type=Path, required=True, help="folder of the study")
    arguments = parser.parse_args()
    output = arguments.output.absolute()
    config = load_study(RECIPE)
    claim(output, config)
    data = read_data(config, arguments.root.absolute(), output, progress=True)
    planned = plan(config, cells(config), data, output, output / "cache", keep_runs=False)
    encoder = weights_fingerprint("embedded", None)
    places = {}
    for cell, job in planned.items():
        order = job.values
        spoken = Synthesis(order["synthetic"], order["confusables"], order["language"])
        settings = resolved_settings(
            cell.keyword, order["overrides"], order["policy"], order["num_recordings"], spoken
        )
        made_with = config_hash({"encoder": encoder, **settings})
        places[cell.name] = Place(cell_path(output, job.identity), made_with)
    task = keep if arguments.task == "keep" else restore
    print(f"{arguments.task}: {task(places)} of {len(places)} cells")


if __name__ == "__main__":
    main()
