"""What a threshold promises and what happens: false accepts per hour on other people's speech.

    python -m benchmarks.thresholds --data DATA --work WORK

``kws train`` chooses thresholds on dev negatives as they are and, where they are few, on copies of them in
noise and rooms. Here the same models get thresholds with fewer or more copies, and each is read on the test
audio of ``benchmarks/keywords.yaml``. Rows lie in ``benchmarks/results/thresholds.jsonl``; finished ones are
not run again. Prints a Markdown table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.short_runs import RESULTS, percent, table
from data_prep import manifests
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.chain import default_chain
from export.to_onnx import export
from kws.audio_store import AudioStore
from kws.checkpoint import load_model
from kws.evaluation.thresholds import choose_operating_point
from kws.manifest import read_manifest
from kws.studies.scoring import detector_scores
from kws.training.config import TrainConfig
from kws.training.data import TrainingData
from kws.training.dev import read_dev_copies
from kws.workflows.train import train

COUNTS = (0, 10, 50)
COPIES = (0, 1, 3)
LEAST = 0.1
"""False accepts per hour that count as none in the geometric mean: half an event in five hours."""


def rows(keyword: str, count: int, data: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Train one model and read it at the threshold of each number of copies."""
    negatives, noise = corpora.training_manifests(data, work)
    positives = [corpora.positives_manifest(data, work, keyword, count, 0)] if count else []
    run = work / "thresholds" / f"{keyword}-{count}"
    train([keyword], positives, [negatives], run, noise=[noise], cache=work / "cache", num_workers=1)
    model, config = load_model(run), TrainConfig()
    dev = [entry for entry in read_manifest(run / "data" / "negatives.jsonl") if entry.split == "dev"]
    nothing = AudioStore([])
    audio = TrainingData(nothing, [], nothing, [], [], False, AudioStore(dev, work / "cache"))
    bank = NoiseBank(tuple(entry.path for entry in manifests.read(run / "data" / "noise.jsonl")))
    augment = default_chain(bank, seed=config.seed).augment
    test = corpora.test_audio(data, work, keyword)
    heard = detector_scores(export(run), test)
    for copies in COPIES:
        settings = TrainConfig(dev_copies=copies)
        scores = read_dev_copies(model, audio, augment, settings)
        point, _, _ = choose_operating_point(
            scores,
            [keyword],
            hop_samples=model.hop_samples,
            settings=settings.decision,
        )
        threshold = point.thresholds[keyword]
        decision = settings.decision.at([threshold])
        missed, accepts = heard.at(test, decision)
        yield {
            "keyword": keyword,
            "recordings": count,
            "copies": copies,
            "dev_hours": round(scores.hours, 3),
            "threshold": threshold,
            "wished_per_hour": settings.decision.false_accepts_per_hour,
            "false_accepts": accepts,
            "test_hours": round(test.hours, 3),
            "missed": missed,
        }


def summary(found: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row of the table for each number of copies."""
    for copies in COPIES:
        own = [row for row in found if row["copies"] == copies]
        if not own:
            continue
        rates = np.array([row["false_accepts"] / row["test_hours"] for row in own])
        logs = np.log(np.maximum(rates, LEAST))
        missed = [
            percent(float(np.mean([row["missed"][name][0] / row["missed"][name][1] for row in own])))
            for name in own[0]["missed"]
        ]
        yield [
            str(copies),
            f"{np.mean([row['dev_hours'] for row in own]):.2f}",
            f"{rates.min():.1f} to {rates.max():.1f}",
            f"{np.exp(logs.mean()):.2f}",
            f"{np.exp(logs.std()):.1f}",
            " / ".join(missed),
        ]


def main() -> None:
    """Run what is missing and print the table."""
    parser = corpora.argument_parser(__doc__)
    arguments = parser.parse_args()
    path = RESULTS / "thresholds.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    done = {(row["keyword"], row["recordings"]) for row in found}
    for keyword in corpora.KEYWORDS:
        for count in COUNTS:
            if (keyword, count) in done:
                continue
            found += rows(keyword, count, arguments.data, arguments.work)
            path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    heads = [
        "copies",
        "dev hours",
        "false accepts per hour",
        "geometric mean",
        "spread (factor)",
        "missed (%)",
    ]
    print("\n".join(table(heads, summary(found))))


if __name__ == "__main__":
    main()
