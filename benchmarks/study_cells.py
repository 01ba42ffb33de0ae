"""Keep the finished cells of the study in ``benchmarks/results/study.jsonl``, and bring them back elsewhere.

    python benchmarks/study_cells.py keep --root MANIFESTS --output STUDY
    python benchmarks/study_cells.py restore --root MANIFESTS --output STUDY

A cell goes by all that determines it, the time of change of each recording included, so that a copy of the
same corpora would be run anew. What is restored is found by its name instead, and only for the encoder that
it was measured with. ``MANIFESTS`` is what ``study_data.py`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from benchmarks.corpora import write_rows  # noqa: E402
from kws.audio import atomic_write  # noqa: E402
from kws.cli.study import claim, plan  # noqa: E402
from kws.cli.study_data import read_data, weights_fingerprint  # noqa: E402
from kws.study.grid import cell_path, cells  # noqa: E402
from kws.study.recipe import load_study  # noqa: E402
from kws.study.results import read_cell  # noqa: E402

RECIPE = ROOT / "benchmarks" / "study.yaml"
KEPT = ROOT / "benchmarks" / "results" / "study.jsonl"


def keep(files: dict[str, Path], encoder: str) -> int:
    """Add a line for each finished cell, by name, to those that are kept, and return how many there are."""
    lines = KEPT.read_text("utf-8").splitlines() if KEPT.is_file() else []
    rows = {row["cell"]: row for row in map(json.loads, lines) if row["encoder"] == encoder}
    for name, path in files.items():
        if path.is_file():
            rows[name] = {"cell": name, "encoder": encoder, **json.loads(path.read_text("utf-8"))}
    write_rows(KEPT, list(rows.values()))
    return len(rows)


def restore(files: dict[str, Path], encoder: str) -> int:
    """Write the kept cells that are not there under their new identities, and return how many there are."""
    restored = 0
    for line in KEPT.read_text("utf-8").splitlines():
        values = json.loads(line)
        path = files.get(values.pop("cell"))
        if values.pop("encoder") != encoder or path is None or path.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({**values, "identity": path.stem}) + "\n", encoding="utf-8")
        read_cell(path.parents[1], path.stem)  # refuses what is no cell
        restored += 1
    return restored


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
    files = {cell.name: cell_path(output, job.identity) for cell, job in planned.items()}
    task = keep if arguments.task == "keep" else restore
    print(f"{arguments.task}: {task(files, weights_fingerprint('embedded', None))} of {len(files)} cells")


if __name__ == "__main__":
    main()
