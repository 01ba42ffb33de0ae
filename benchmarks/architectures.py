"""Compare kinds of blocks for the embedded encoder at equal cost: phone error after a short pretraining.

    python benchmarks/embedded_data.py --data DATA --output WORK
    python benchmarks/architectures.py WORK [--steps 3000] [--only gated squeeze]
    python benchmarks/architectures.py WORK --cost

Each shape is ``kws pretrain`` with ``kws/recipes/embedded.yaml``, shortened to ``--steps`` and with fewer
augmented versions, in WORK/architectures/NAME; its log lies beside it. Called again, it goes on where it
stopped; finished shapes are kept in ``benchmarks/results/architectures.jsonl`` and not run again. Prints a
Markdown table; ``--cost`` only times the shapes, with random weights, and trains none.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from kws.config import config_hash, load_config, merge, parse_overrides, read_yaml  # noqa: E402
from kws.encoders.sources.embedded import EmbeddedEncoder  # noqa: E402
from kws.encoders.truncate import num_parameters, truncate  # noqa: E402
from kws.training.pretrain_config import PretrainConfig  # noqa: E402
from kws.weights import write_json  # noqa: E402

RECIPE = ROOT / "kws" / "recipes" / "embedded.yaml"
RESULTS = ROOT / "benchmarks" / "results" / "architectures.jsonl"
DEPTH = 6
"""What ``kws train`` keeps by default."""
EVALUATE_EVERY = 1000
SHAPES: dict[str, tuple[str, ...]] = {
    "separable": (),
    "gated": ("encoder.block=gated", "encoder.dimension=184"),
    "squeeze": (
        *("encoder.block=squeeze", "encoder.block_every=2"),
        *("encoder.dimension=184", "encoder.num_layers=9"),
    ),
    "attention": ("encoder.block=attention", "encoder.block_every=4", "encoder.num_layers=8", "middle=4"),
    "attention-once": ("encoder.block=attention", "encoder.block_every=5", "encoder.num_layers=9"),
}
"""Name -> what differs from the recipe. Widths and layers were chosen so that a push of 80 ms through the
whole encoder takes as long as through the separable one, within 5 % (``--cost``)."""
SHORTER = (
    "train=[{manifest: speechocean762.jsonl, splits: [train], weight: 5.0, versions: 2},"
    " {manifest: ljspeech.jsonl, splits: [train], weight: 2.0, versions: 2},"
    " {manifest: synthetic/train.jsonl, splits: [train], weight: 0.2, versions: 1}]"
)
"""The recipe's sources with versions that are made in minutes; synthetic voices, of which there is now only
the plain version, are drawn half as often."""


def overrides(name: str, steps: int, changes: list[str]) -> list[str]:
    """Return what ``kws pretrain --set`` takes for a shape; ``changes`` of the caller come last."""
    evaluate_every = min(EVALUATE_EVERY, steps)
    return [SHORTER, f"steps={steps}", f"evaluate_every={evaluate_every}", *SHAPES[name], *changes]


def recipe_of(name: str, steps: int = 3000, changes: list[str] | None = None) -> PretrainConfig:
    """Return the recipe that a shape is trained with."""
    values = merge(read_yaml(RECIPE), parse_overrides(overrides(name, steps, changes or [])))
    return load_config(PretrainConfig, values, name)


def measure(rounds: int) -> dict[str, dict[str, Any]]:
    """Export every shape whole and cut at :data:`DEPTH`, and time them side by side on one thread.

    Returns:
        name -> ``parameters`` of the whole encoder, and for ``whole`` and ``cut`` the median processor time
        of a push of 80 ms, head included, in milliseconds (``_ms``) and as a multiple of that of the
        separable shape in the same round (``_ratio``).
    """
    from export.benchmark import cpu_ms_per_push
    from export.to_onnx import export_model
    from kws.checkpoint import OperatingPoint
    from kws.heads import build_head
    from kws.model import WakeWordModel

    found: dict[str, dict[str, Any]] = {}
    point = OperatingPoint({"keyword": 0.5}, false_accepts_per_hour=0.5, dev_hours=0.0)
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, list[Path]] = {"whole": [], "cut": []}
        for name in SHAPES:
            encoder = EmbeddedEncoder(recipe_of(name).encoder).eval()
            found[name] = {"parameters": num_parameters(encoder)}
            for part, depth in (("whole", encoder.info.num_layers), ("cut", DEPTH)):
                head = build_head("conv", encoder.info.dimension, 1)
                model = WakeWordModel(truncate(encoder, depth), head, ["keyword"]).eval()
                files[part].append(Path(folder) / f"{name}-{part}.onnx")
                export_model(model, point, files[part][-1])
        for part, paths in files.items():
            times = cpu_ms_per_push(paths, rounds=rounds)
            for name, row in zip(SHAPES, times, strict=True):
                found[name][f"{part}_ms"] = round(median(row), 4)
                ratios = [mine / plain for mine, plain in zip(row, times[0], strict=True)]
                found[name][f"{part}_ratio"] = round(median(ratios), 4)
    return found


def costs(arguments: argparse.Namespace, again: bool = False) -> dict[str, dict[str, Any]]:
    """Return what :func:`measure` found for these shapes, kept in WORK/architectures/cost.json."""
    path = arguments.work / "architectures" / "cost.json"
    encoders = {name: dataclasses.asdict(recipe_of(name).encoder) for name in SHAPES}
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if again or stored.get("encoders") != encoders:
        stored = {"encoders": encoders, "costs": measure(arguments.rounds)}
        write_json(path, stored)
    return stored["costs"]


def finished(results: Path) -> dict[str, dict[str, Any]]:
    """Return the finished rows by the hash of their recipe."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {row["config_hash"]: row for row in map(json.loads, lines)}


def train(name: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Run ``kws pretrain`` for a shape in a process of its own; return its metrics, or None if it failed."""
    output = arguments.work / "architectures" / name
    output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "kws", "pretrain", str(RECIPE), "--output", str(output)]
    command += ["--root", str(arguments.root or arguments.work)]
    for pair in overrides(name, arguments.steps, arguments.set):
        command += ["--set", pair]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with output.with_suffix(".log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
        )
    if done.returncode:
        print(f"{name}: FAILED, see {output.with_suffix('.log')}", flush=True)
        return None
    return json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def run(arguments: argparse.Namespace) -> bool:
    """Train what is missing and add a row for each; return whether all succeeded."""
    done = finished(arguments.results)
    names = [name for name in SHAPES if not arguments.only or name in arguments.only]
    hashes = {name: config_hash(recipe_of(name, arguments.steps, arguments.set)) for name in names}
    wanted = [name for name in names if hashes[name] not in done]
    print(f"{len(names) - len(wanted)} shapes finished, {len(wanted)} to run", flush=True)
    cost = costs(arguments) if wanted else {}
    succeeded = True
    for name in wanted:
        metrics = train(name, arguments)
        if metrics is None:
            succeeded = False
            continue
        recipe = recipe_of(name, arguments.steps, arguments.set)
        row = {
            "shape": name,
            "steps": arguments.steps,
            "seed": recipe.seed,
            "encoder": dataclasses.asdict(recipe.encoder),
            **cost[name],
            **{key: metrics[key] for key in ("train_hours", "wall_s")},
            "dev": metrics["dev_phone_error_rate"]["all"],
            "test": metrics["test_phone_error_rate"]["all"],
            "config_hash": hashes[name],
        }
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        with arguments.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name}: dev {100 * row['dev']:.1f} %, test {100 * row['test']:.1f} %", flush=True)
    return succeeded


def cells(row: dict[str, Any]) -> Iterator[str]:
    """Yield what both tables say of a shape."""
    config = row["encoder"]
    kind = (
        config["block"]
        if config["block_every"] == 1
        else f"{config['block']}, every {config['block_every']}."
    )
    yield f"{row['shape']}: {config['num_layers']} × {config['dimension']}, {kind}"
    yield f"{row['parameters'] / 1e6:.2f}"
    for part in ("whole", "cut"):
        yield f"{row[f'{part}_ms']:.3f} (× {row[f'{part}_ratio']:.2f})"


def table(rows: list[dict[str, Any]], trained: bool) -> Iterator[str]:
    """Yield the lines of a Markdown table; phone errors only where there was training."""
    head = ["shape", "million weights", "whole, ms per 80 ms", f"cut at {DEPTH}"]
    head += ["steps", "dev phone error (%)", "test (%)"] if trained else []
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        errors = [str(row["steps"]), f"{100 * row['dev']:.1f}", f"{100 * row['test']:.1f}"] if trained else []
        yield "| " + " | ".join([*cells(row), *errors]) + " |"


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder for the runs")
    parser.add_argument("--root", type=Path, help="folder of the manifests (default: WORK)")
    parser.add_argument("--steps", type=int, default=3000, help="of training (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=SHAPES, help="shapes to train (default: all)")
    parser.add_argument("--cost", action="store_true", help="only time the shapes")
    parser.add_argument(
        "--rounds", type=int, default=20, help="of timing, of which the median counts (default: %(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key of every recipe"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="file of finished rows (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.cost:
        cost = costs(arguments, again=True)
        rows = [
            {"shape": name, "encoder": dataclasses.asdict(recipe_of(name).encoder), **cost[name]}
            for name in SHAPES
        ]
        print("\n".join(table(rows, trained=False)))
        return
    succeeded = run(arguments)
    print("\n".join(table(list(finished(arguments.results).values()), trained=True)))
    if not succeeded:
        sys.exit(1)


if __name__ == "__main__":
    main()
