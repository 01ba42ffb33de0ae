"""Short pretrainings that differ in one thing, for tables of docs/log; used by the benchmarks beside it.

Each starts from ``kws/recipes/embedded.yaml`` with fewer steps and fewer kept versions, so that a table costs
hours and not days. They say which choice is ahead after so many steps, not how good the shipped encoder is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kws.audio import atomic_write
from kws.config import merge, read_yaml
from kws.studies.tables import markdown
from kws.weights import METRICS
from kws.workflows.pretrain import pretrain

RECIPE = Path(__file__).parents[1] / "kws" / "recipes" / "embedded.yaml"
RESULTS = Path(__file__).parent / "results"
SPEECH: dict[str, dict[str, Any]] = {
    "real": {"manifest": "speechocean762.jsonl", "splits": ["train"], "weight": 5.0, "versions": 4},
    "ljspeech": {"manifest": "ljspeech.jsonl", "splits": ["train"], "weight": 2.0, "versions": 4},
    "espeak": {
        "manifest": "synthetic/train.jsonl",
        "splits": ["train"],
        "weight": 0.4,
        "versions": 2,
        "sentences": False,
    },
    "flite": {
        "manifest": "flite/train.jsonl",
        "splits": ["train"],
        "weight": 0.8,
        "versions": 2,
        "sentences": False,
    },
}
"""Sources of the recipe, with as many versions as a short run needs."""
STEM = (24, 32)
"""`encoder.stem_channels` of the runs: it costs no more and learns faster (docs/log)."""


def parser(description: str | None, steps: int) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every table has."""
    parsed = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsed.add_argument("work", type=Path, help="folder that benchmarks/embedded_data.py wrote")
    parsed.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parsed.add_argument("--steps", type=int, default=steps, help="steps of each run (default: %(default)s)")
    parsed.add_argument("--only", nargs="*", help="runs with these names alone")
    parsed.add_argument("--table", action="store_true", help="run nothing; print what is finished")
    return parsed


def short_recipe(changes: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Return the recipe of a short run, with changes laid over it."""
    short = {
        "steps": steps,
        "evaluate_every": min(1000, steps),
        "train": list(SPEECH.values()),
        "encoder": {"stem_channels": list(STEM)},
    }
    return merge(merge(read_yaml(RECIPE), short), changes)


def run(name: str, changes: Mapping[str, Any], work: Path, output: Path, steps: int) -> dict[str, Any]:
    """Run one pretraining, or go on with it, and return its metrics.

    Args:
        name: of the run and its folder.
        changes: laid over the recipe, such as ``{"train": [SPEECH["real"]]}``.
        work: folder of the manifests.
        output: folder of the runs.
        steps: of the optimiser.
    """
    folder = output / f"{name}-{steps}"
    if not (folder / METRICS).exists():
        recipe = output / f"{name}-{steps}.yaml"
        with atomic_write(recipe) as temporary:
            temporary.write_text(yaml.safe_dump(short_recipe(changes, steps)))
        pretrain(recipe, folder, root=work)
    metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    return metrics


def keep(kind: str, row: dict[str, Any]) -> None:
    """Write the row of a finished run to ``results/KIND.jsonl``, over an earlier one of the same run."""
    rows = {(entry["run"], entry["steps"]): entry for entry in read(kind)} | {(row["run"], row["steps"]): row}
    lines = [json.dumps(entry) + "\n" for entry in rows.values()]
    (RESULTS / f"{kind}.jsonl").write_text("".join(lines), encoding="utf-8")


def append_row(row: dict[str, Any], kind: str) -> None:
    """Add a finished row to ``results/KIND.jsonl``, in one write so that processes do not mix."""
    with (RESULTS / f"{kind}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read(kind: str) -> list[dict[str, Any]]:
    """Return the rows of a kind."""
    path = RESULTS / f"{kind}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return markdown(heads, [list(map(str, row)) for row in rows])


def percent(rate: float) -> str:
    """Return a rate in percent."""
    return f"{100 * rate:.1f}"
