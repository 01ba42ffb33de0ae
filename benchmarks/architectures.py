"""Compare shapes of the embedded encoder at equal cost: phone error after a short pretraining.

    python -m benchmarks.embedded_data --data DATA --output WORK
    python -m benchmarks.architectures WORK --output RUNS --cost [--openwakeword PEERS/openwakeword]
    python -m benchmarks.architectures WORK --output RUNS [--steps 3000] [--only gated squeeze]

``--cost`` times the shapes untrained, side by side on one thread, and trains none; its rows lie in
``benchmarks/results/architecture_costs.jsonl``. Without it every shape has the same number of steps; a run
goes on where it was stopped, and a finished one is not repeated. Rows lie in
``benchmarks/results/architectures.jsonl``. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.short_runs import keep, parser, percent, read, run, short_recipe, table
from export.benchmark import Contender, cpu_ms_per_push
from export.to_onnx import export_model
from kws.checkpoint import OperatingPoint
from kws.config import load_config
from kws.decisions import DecisionSettings
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.encoders.truncate import num_parameters, truncate
from kws.heads import build_head
from kws.model import ModelConfig, WakeWordModel

PLAIN = "separable"
"""The shape that the others are held against."""
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    PLAIN: ("separable", {}),
    "stacked": ("separable on a stem of stacked frames", {"encoder": {"stem_channels": []}}),
    "gated": ("gated", {"encoder": {"block": "gated"}}),
    "squeeze": (
        "squeeze, every second",
        {"encoder": {"block": "squeeze", "block_every": 2, "dimension": 176}},
    ),
    "attention": (
        "attention, every fourth",
        {
            "encoder": {"block": "attention", "block_every": 4, "dimension": 176, "num_layers": 8},
            "middle": 4,
        },
    ),
}
"""Name: what the table calls it, and what it changes in the recipe. Widths and layers were chosen so that a
push of 80 ms costs what it costs with the plain shape (``--cost``)."""
MODEL = ModelConfig(keywords=("keyword",))
"""What ``kws train`` makes by default."""
DEPTHS: dict[str, int | None] = {"cut": MODEL.depth, "whole": None}
"""What is timed: the layers that are kept by default, and all."""
COST_HEADS = ("shape", "layers × features", "million weights")
TIMES = (f"cut at {MODEL.depth}, ms per 80 ms", "whole, ms per 80 ms")
ERRORS = ("steps", "test PER (%)", "male", "female", "dev PER (%)")


def encoder_config(name: str) -> EmbeddedConfig:
    """Return the encoder's part of a shape's recipe."""
    return load_config(EmbeddedConfig, short_recipe(SHAPES[name][1], 1)["encoder"], f"{name}: encoder")


def measure(names: Sequence[str], rounds: int, openwakeword: Path | None) -> Iterator[dict[str, Any]]:
    """Export shapes with an untrained head, time them side by side on one thread, and yield a row for each.

    A row says ``cut_ms`` and ``whole_ms``, the median processor time of a push of 80 ms; ``cut_ratio`` and
    ``whole_ratio``, the median of what it is of that of the plain shape in the same round; and with
    ``openwakeword``, a folder of its files, ``cut_of_openwakeword`` likewise.
    """
    names = [PLAIN, *(name for name in names if name != PLAIN)]
    point = OperatingPoint(dict.fromkeys(MODEL.keywords, 0.5), DecisionSettings(), dev_hours=0.0)
    contenders, weights = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            encoder = EmbeddedEncoder(encoder_config(name)).eval()
            weights[name] = num_parameters(encoder)
            for part, depth in DEPTHS.items():
                cut = truncate(encoder, depth or encoder.info.num_layers)
                head = build_head(MODEL.head, cut.info.dimension, len(MODEL.keywords))
                model = WakeWordModel(cut, head, MODEL.keywords).eval()
                path = Path(folder) / f"{name}-{part}.onnx"
                export_model(model, point, path)
                contenders.append(Contender("kws", path))
        if openwakeword is not None:
            contenders.append(Contender("openwakeword-files", openwakeword))
        times = cpu_ms_per_push(contenders, rounds=rounds)
    parts = len(DEPTHS)
    for index, name in enumerate(names):
        row: dict[str, Any] = {"run": name, "steps": 0, "rounds": rounds, "parameters": weights[name]}
        for offset, part in enumerate(DEPTHS):
            mine = times[parts * index + offset]
            row[f"{part}_ms"] = round(median(mine), 4)
            row[f"{part}_ratio"] = ratio(mine, times[offset])
        if openwakeword is not None:
            row["cut_of_openwakeword"] = ratio(times[parts * index], times[-1])
        yield {**row, "encoder": dataclasses.asdict(encoder_config(name))}


def ratio(mine: Sequence[float], other: Sequence[float]) -> float:
    """Return the median over rounds of one time as a multiple of another."""
    return round(median(a / b for a, b in zip(mine, other, strict=True)), 4)


def cells(name: str, cost: dict[str, Any] | None) -> list[str]:
    """Return what both tables say of a shape; ``cost`` is its row of :func:`measure`, None if not timed."""
    config = encoder_config(name)
    said = [SHAPES[name][0], f"{config.num_layers} × {config.dimension}"]
    said.append(f"{num_parameters(EmbeddedEncoder(config)) / 1e6:.2f}")
    for part in DEPTHS:
        said.append(f"{cost[f'{part}_ms']:.3f} (× {cost[f'{part}_ratio']:.2f})" if cost else "–")
    return said


def costs() -> dict[str, dict[str, Any]]:
    """Return the rows of :func:`measure` by name; a shape that has changed since has none."""
    kept = {row["run"]: row for row in read("architecture_costs") if row["run"] in SHAPES}
    return {
        name: row
        for name, row in kept.items()
        if load_config(EmbeddedConfig, row["encoder"], f"architecture_costs: {name}") == encoder_config(name)
    }


def cost_table() -> list[str]:
    """Return the lines of a table of what the shapes cost."""
    rows = []
    for name, cost in sorted(costs().items(), key=lambda pair: list(SHAPES).index(pair[0])):
        share = cost.get("cut_of_openwakeword")
        rows.append([*cells(name, cost), "–" if share is None else f"{share:.2f}"])
    return table([*COST_HEADS, *TIMES, "cut, of openWakeWord"], rows)


def error_table() -> list[str]:
    """Return the lines of a table of the finished runs."""
    timed, rows = costs(), []
    finished = [row for row in read("architectures") if row["run"] in SHAPES]
    for row in sorted(finished, key=lambda row: (row["steps"], list(SHAPES).index(row["run"]))):
        test = row["test_phone_error_rate"]
        rates = [test["all"], test["gender=male"], test["gender=female"], row["dev_phone_error_rate"]["all"]]
        said = cells(row["run"], timed.get(row["run"]))
        rows.append([*said, row["steps"], *(percent(rate) for rate in rates)])
    return table([*COST_HEADS, *TIMES, *ERRORS], rows)


def options() -> argparse.ArgumentParser:
    """Return the parser."""
    arguments = parser(__doc__, steps=3000)
    arguments.add_argument("--cost", action="store_true", help="only time the shapes")
    arguments.add_argument("--rounds", type=int, default=50, help="of timing (default: %(default)s)")
    arguments.add_argument(
        "--openwakeword", type=Path, help="with --cost: folder of openWakeWord's files, timed beside"
    )
    return arguments


def main(words: Sequence[str] | None = None) -> None:
    """Time or run what is missing and print the table."""
    arguments = options()
    given = arguments.parse_args(words)
    unknown = set(given.only or ()) - set(SHAPES)
    if unknown:
        arguments.error(f"--only: got {', '.join(sorted(unknown))}, allowed: {', '.join(SHAPES)}")
    wanted = [] if given.table else list(given.only or SHAPES)
    if given.cost:
        for row in measure(wanted, given.rounds, given.openwakeword) if wanted else ():
            keep("architecture_costs", row)
        print("\n".join(cost_table()))
        return
    for name in wanted:
        metrics = run(name, SHAPES[name][1], given.work, given.output, given.steps)
        keep("architectures", {"run": name, **metrics})
    print("\n".join(error_table()))


if __name__ == "__main__":
    main()
