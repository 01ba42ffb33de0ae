"""Miss rate at false accepts per hour by recordings and policy, beside openWakeWord's embedding.

    python benchmarks/keywords.py --data DATA --work WORK [--peers PEERS] [--choices] [--jobs 2]
    python benchmarks/keywords.py --data DATA --earlier keywords_forty_windows

Each cell is what a person would do: ``kws train``, ``kws export``, then ``kws.Detector`` on speakers, noise
and rooms that training never met. Finished cells are kept in ``benchmarks/results/keywords.jsonl`` and not
run again; ``--table`` only prints what is there and writes ``benchmarks/results/keywords.md`` and
``keywords.png``. ``--choices`` also runs a policy with one setting changed (depth, layers that move, their
rate, epochs, windows per batch), kept in ``choices.jsonl`` and ``choices.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

import numpy as np  # noqa: E402

from benchmarks import corpora  # noqa: E402
from kws.studies.held_out import UnseenAudio  # noqa: E402
from kws.studies.scoring import count_misses, detector_scores  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
RATES = (0.5, 1.0, 2.0)
"""False accepts per hour at which misses are read."""
COUNTS = (10, 50, None)
EXTRA_COUNTS = (25, 100)
DEFAULT = "auto"
"""Policy of `kws train` where none is given."""
POLICIES = ("head", "early", "late", "all", "scratch")
WITHOUT_RECORDINGS = (DEFAULT, "head", "late")
"""Policies for no recordings, where synthetic voices alone say the keyword."""
SEEDS = (0, 1)
CHOICES = (
    (50, "late", tuple(f"model.depth={depth}" for depth in (4, 8, 10))),
    (50, "late", tuple(f"train.transfer.num_layers={number}" for number in (1, 6))),
    (50, "late", ("train.transfer.encoder_rate=0.1", "train.transfer.encoder_rate=1.0")),
    (50, "late", ("train.epochs=16",)),
    (10, "head", ("synthetic=0", *(f"model.depth={depth}" for depth in (4, 8, 10)))),
    *((count, "late", ("confusables=600",)) for count in (50, 10)),
    (50, "late", ("synthetic=200",)),
    *((0, policy, ("train.batch.synthetic_share=0.4",)) for policy in ("head", "late")),
    (0, "head", ("train.batch.synthetic_share=0.4 train.augmentation=1.4",)),
    (50, "scratch", ("train.epochs=32",)),
    (None, "scratch", ("train.epochs=32",)),
    (None, DEFAULT, ("train.epochs=8",)),
    *((count, DEFAULT, ("train.batch.num_positives=24 train.batch.num_negatives=56",)) for count in (10, 0)),
)
"""Recordings, policy and settings to try, one at a time or two with a space between, as
``--set`` takes them, or the number of ``--confusables`` or ``--synthetic``."""
ALL_RECORDINGS = 195
"""About how many recordings of a keyword ``all`` is."""


class Cell(NamedTuple):
    """One run of the benchmark."""

    keyword: str
    count: int | None
    """Recordings of the keyword; None is all."""
    policy: str
    seed: int
    change: str = ""
    """What differs from the default; see :data:`CHOICES`."""

    @property
    def name(self) -> str:
        """Name in results and folders."""
        parts = (self.keyword, shown(self.count), self.policy, self.seed, self.change)
        return "-".join(str(part) for part in parts if part != "")


def shown(count: int | None) -> str:
    """Return a number of recordings as names and tables show it."""
    return "all" if count is None else str(count)


def cells(with_peer: bool, with_choices: bool = False) -> list[Cell]:
    """Return every cell once: changed settings, then those that carry the product's claim, then the rest."""
    wanted = [
        Cell(keyword, count, policy, 0, change)
        for count, policy, changes in CHOICES
        for change in ("", *changes)
        for keyword in corpora.KEYWORDS
        if with_choices
    ]
    wanted += [
        Cell(k, n, p, s)
        for s in SEEDS
        for n in (50, 10, None)
        for p in (DEFAULT, "scratch", *(["peer"] if with_peer else []))
        for k in corpora.KEYWORDS
    ]
    wanted += [Cell(k, 0, p, s) for s in SEEDS for p in WITHOUT_RECORDINGS for k in corpora.KEYWORDS]
    wanted += [Cell(k, n, p, s) for s in SEEDS for n in COUNTS for p in POLICIES for k in corpora.KEYWORDS]
    wanted += [
        Cell(k, n, p, s)
        for s in SEEDS
        for n in EXTRA_COUNTS
        for p in (DEFAULT, "scratch")
        for k in corpora.KEYWORDS
    ]
    return list(dict.fromkeys(wanted))


def finished(kind: str) -> dict[str, dict]:
    """Return the finished cells of a kind (``keywords``, ``choices``, ``typed``) by name."""
    path = RESULTS / f"{kind}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {Cell(*(row.get(name, "") for name in Cell._fields)).name: row for row in rows}


def read_cell(
    cell: Cell,
    positives: dict[str, list[np.ndarray]],
    negatives: np.ndarray,
    hop_s: float,
    test: UnseenAudio,
    smoothing: int,
) -> dict:
    """Turn scores into the row of a cell: misses and clips per condition at each rate."""
    from kws.decisions import DecisionConfig

    found = count_misses(
        positives, negatives, test.hours, RATES, DecisionConfig((1.0,), smoothing, 1.0), hop_s
    )
    return {
        "cell": cell.name,
        **cell._asdict(),
        "misses": {
            condition: {str(rate): [len(count.missed), count.clips] for rate, count in counts.items()}
            for condition, counts in found.items()
        },
        "negative_hours": round(test.hours, 3),
        "original_hours": round(test.original_hours, 3),
    }


def run_cell(cell: Cell, data: Path, work: Path, peers: Path | None) -> dict:
    """Train, export and read one cell; returns its row."""
    started = time.monotonic()
    test = corpora.test_audio(data, work, cell.keyword)
    positives = (
        []
        if cell.count == 0
        else [corpora.positives_manifest(data, work, cell.keyword, cell.count, cell.seed)]
    )
    negatives, noise = corpora.training_manifests(data, work)
    if cell.policy == "peer":
        from benchmarks import peer

        assert peers is not None
        row = read_cell(
            cell,
            *peer.scores(cell.keyword, cell.seed, positives[0], negatives, noise, test, work, peers),
            test,
            1,
        )
        return {**row, "wall_s": round(time.monotonic() - started)}

    from export.to_onnx import export
    from kws.checkpoint import load_operating_point
    from kws.config import to_dict
    from kws.workflows.train import train

    run = work / "runs" / cell.name
    overrides = [f"train.transfer.policy={cell.policy}", f"train.seed={cell.seed}", "train.num_workers=0"]
    key, _, value = cell.change.partition("=")
    spoken = {key: int(value)} if key in ("confusables", "synthetic") else {}
    overrides += [] if spoken else cell.change.split()
    summary = train(
        [cell.keyword],
        positives,
        [negatives],
        run,
        noise=[noise],
        overrides=overrides,
        cache=work / "cache",
        num_workers=1,
        **spoken,
    )
    model = export(run)
    scores, negative_scores, hop_s = detector_scores(model, test)
    smoothing = load_operating_point(run).decision.smoothing_frames
    row = read_cell(cell, scores, negative_scores, hop_s, test, smoothing)
    row |= {
        "operating_point": to_dict(load_operating_point(run)),
        "config_hash": json.loads((run / "provenance.json").read_text(encoding="utf-8"))["config_hash"],
        "train_s": summary.metrics["wall_s"],
        "wall_s": round(time.monotonic() - started),
    }
    return row


def run_all(arguments: argparse.Namespace) -> None:
    """Run what is missing, each cell in a process of its own."""
    done = finished("keywords") | finished("choices")
    wanted = [c for c in cells(arguments.peers is not None, arguments.choices) if c.name not in done]
    if arguments.only:
        wanted = [cell for cell in wanted if any(part in cell.name for part in arguments.only)]
    print(f"{len(done)} cells finished, {len(wanted)} to run", flush=True)

    def launch(cell: Cell) -> tuple[Cell, int]:
        command = [
            sys.executable,
            __file__,
            "--data",
            str(arguments.data),
            "--work",
            str(arguments.work),
            "--cell",
            cell.name,
        ]
        command += ["--peers", str(arguments.peers)] if arguments.peers else []
        log = arguments.work / "logs" / f"{cell.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            return cell, subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, env=environment, check=False
            ).returncode

    with ThreadPoolExecutor(arguments.jobs) as pool:
        for number, (cell, code) in enumerate(pool.map(launch, wanted), start=1):
            state = "done" if code == 0 else f"FAILED, see {arguments.work / 'logs' / cell.name}.log"
            print(f"[{number}/{len(wanted)}] {cell.name}: {state}", flush=True)


def append_row(row: dict, kind: str) -> None:
    """Add a finished cell to the results of a kind, in one write so that processes do not mix."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{kind}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def parse_cell(name: str) -> Cell:
    """Turn a cell's name back into the cell."""
    keyword, count, policy, seed, *change = name.split("-", 4)
    return Cell(keyword, None if count == "all" else int(count), policy, int(seed), *change)


def misses_with_interval(rows: list[dict], condition: str, rate: float) -> str:
    """Return the misses of all rows together, in percent with the exact 95 % interval."""
    from kws.evaluation.intervals import proportion

    missed, clips = (sum(row["misses"][condition][str(rate)][i] for row in rows) for i in (0, 1))
    interval = proportion(missed, clips)
    return f"{100 * missed / clips:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def table(rows: dict[str, dict]) -> Iterator[str]:
    """Yield the lines of a Markdown table of recordings and policies."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows.values():
        count = math.inf if row["count"] is None else row["count"]
        groups.setdefault((count, row["policy"], row.get("change", "")), []).append(row)
    any_row = next(iter(rows.values()))
    yield (
        f"Misses in % with exact 95 % intervals, over the keywords and seeds run; negatives "
        f"{any_row['negative_hours']:.1f} h, of them {any_row['original_hours']:.1f} h distinct originals."
    )
    yield ""
    heads = [f"{condition}, {rate:g} FA/h" for condition in corpora.CONDITIONS for rate in RATES]
    yield "| recordings | policy | runs | " + " | ".join(heads) + " |"
    yield "|---|---|---|" + "---|" * len(heads)
    for (_, policy, change), members in sorted(groups.items()):
        name = "openWakeWord embedding" if policy == "peer" else policy
        if policy == DEFAULT:
            name += " (default)"
        name += f", {change}" if change else ""
        values = [misses_with_interval(members, c, rate) for c in corpora.CONDITIONS for rate in RATES]
        yield f"| {shown(members[0]['count'])} | {name} | {len(members)} | " + " | ".join(values) + " |"


def choices_table(rows: dict[str, dict], changed: dict[str, dict]) -> Iterator[str]:
    """Yield the lines of a Markdown table of changed settings, the policy unchanged with seed 0 first."""
    yield "| recordings | policy | changed | " + " | ".join(f"{c}, 1 FA/h" for c in corpora.CONDITIONS) + " |"
    yield "|---|---|---|" + "---|" * len(corpora.CONDITIONS)
    wanted = [(count, policy, change) for count, policy, changes in CHOICES for change in ("", *changes)]
    for count, policy, change in dict.fromkeys(wanted):
        names = [Cell(keyword, count, policy, 0, change).name for keyword in corpora.KEYWORDS]
        members = [{**rows, **changed}[name] for name in names if name in rows or name in changed]
        if members:
            values = [misses_with_interval(members, c, 1.0) for c in corpora.CONDITIONS]
            yield f"| {shown(count)} | {policy} | {change or '–'} | " + " | ".join(values) + " |"


def plot(rows: dict[str, dict], path: Path) -> None:
    """Draw misses at 1 FA/h over recordings, one line per policy, one panel per condition."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(corpora.CONDITIONS), figsize=(13, 4.2), sharex=True)
    for axis, condition in zip(axes, corpora.CONDITIONS, strict=True):
        for policy in (DEFAULT, *POLICIES, "peer"):
            points: dict[int, list[float]] = {}
            for row in rows.values():
                if row["policy"] == policy:
                    missed, clips = row["misses"][condition]["1.0"]
                    count = ALL_RECORDINGS if row["count"] is None else row["count"]
                    points.setdefault(count, []).append(100 * missed / clips)
            if points:
                counts = sorted(points)
                label = "openWakeWord embedding" if policy == "peer" else policy
                style = {"peer": {"color": "black", "ls": "--"}, "scratch": {"color": "0.6"}}.get(policy, {})
                values = [np.mean(points[count]) for count in counts]
                axis.plot(counts, values, marker="o", label=label, **style)
        axis.set(title=condition, xlabel="recordings", ylim=(0, None))
        axis.set_xscale("symlog", linthresh=10, linscale=0.5)  # from 0 to 10 linear
        axis.set_xticks([0, 10, 25, 50, 100, ALL_RECORDINGS], ["0", "10", "25", "50", "100", "all"])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("misses at 1 false accept per hour (%)")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Parse arguments; run cells, or one cell, or only write the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument(
        "--peers", type=Path, help="folder that holds openwakeword/*.onnx; adds the peer's cells"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="cells at once, one thread each (default: %(default)s)"
    )
    parser.add_argument("--choices", action="store_true", help="also run policies with one setting changed")
    parser.add_argument("--only", nargs="*", help="run cells whose name holds one of these")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument(
        "--table", action="store_true", help="run nothing; write table and plot of what is finished"
    )
    parser.add_argument(
        "--earlier", metavar="NAME", help="only print the table of rows kept in benchmarks/results/NAME.jsonl"
    )
    arguments = parser.parse_args()
    if arguments.earlier:
        print("\n".join(table(finished(arguments.earlier))))
        return
    if arguments.cell:
        row = run_cell(parse_cell(arguments.cell), arguments.data, arguments.work, arguments.peers)
        append_row(row, "choices" if row["change"] else "keywords")
        return
    if not arguments.table:
        for keyword in corpora.KEYWORDS:
            corpora.test_audio(arguments.data, arguments.work, keyword)
        run_all(arguments)
    rows, changed = finished("keywords"), finished("choices")
    if changed:
        text = "\n".join(choices_table(rows, changed))
        (RESULTS / "choices.md").write_text(text + "\n", encoding="utf-8")
        print(f"{text}\n")
    if rows:
        text = "\n".join(table(rows))
        (RESULTS / "keywords.md").write_text(text + "\n", encoding="utf-8")
        plot(rows, RESULTS / "keywords.png")
        print(text)


if __name__ == "__main__":
    main()
