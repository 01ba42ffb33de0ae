"""What each kind of speech brings to the encoder: phone error rate on real, unseen speakers.

    python -m benchmarks.embedded_data --data DATA --output WORK
    python -m benchmarks.ingredients WORK --output RUNS [--teacher PEERS/openwakeword]

Every run has the same number of steps of the same cost; it goes on where it was stopped, and a finished one
is not repeated. Rows lie in ``benchmarks/results/ingredients.jsonl``. Prints a Markdown table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.short_runs import SPEECH, keep, parser, percent, read, run, table

REAL = [SPEECH["real"], SPEECH["ljspeech"]]
SYNTHETIC = [SPEECH["espeak"], SPEECH["flite"]]
HALF = {**SPEECH["real"], "manifest": "speechocean762_half.jsonl"}
UNLABELED = {
    "manifest": "speech_to_intent.jsonl",
    "splits": ["train"],
    "weight": 2.0,
    "versions": 4,
    "unlabeled": True,
}
COPIES = {"consistency": 0.7, "batch_s": 32.0}
"""Two masked copies of half as much speech cost what one copy of all of it does."""

RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "real": ("real alone", {"train": REAL}),
    "espeak": ("eSpeak NG alone", {"train": [SPEECH["espeak"]]}),
    "synthetic": ("eSpeak NG and Flite", {"train": SYNTHETIC}),
    "half": ("half of the real speakers, synthetic", {"train": [HALF, SPEECH["ljspeech"], *SYNTHETIC]}),
    "both": ("real and synthetic", {"train": [*REAL, *SYNTHETIC]}),
    "copies": ("real and synthetic, two masked copies", {"train": [*REAL, *SYNTHETIC], **COPIES}),
    "unlabelled": (
        "the same, and unlabelled speech",
        {"train": [*REAL, *SYNTHETIC, UNLABELED], **COPIES},
    ),
    "teacher": ("real, synthetic, unlabelled, a teacher", {"train": [*REAL, *SYNTHETIC, UNLABELED]}),
}
"""Name: what the table calls it, and what it changes in the recipe."""


def write_half(work: Path) -> None:
    """Write a manifest with every second training speaker of speechocean762."""
    rows = [json.loads(line) for line in (work / "speechocean762.jsonl").read_text("utf-8").splitlines()]
    speakers = sorted({row["speaker"] for row in rows if row["split"] == "train"})[::2]
    kept = [row for row in rows if row["speaker"] in set(speakers)]
    text = "".join(json.dumps(row) + "\n" for row in kept)
    (work / "speechocean762_half.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    """Run what is missing and print the table."""
    arguments = parser(__doc__, steps=3000)
    arguments.add_argument(
        "--teacher", type=Path, help="folder of Google's speech embedding; leaves that run out when not given"
    )
    options = arguments.parse_args()
    wanted = [] if options.table else list(options.only or RUNS)
    if wanted:
        write_half(options.work)
    for name in wanted:
        changes = dict(RUNS[name][1])
        if name == "teacher":
            if options.teacher is None:
                continue
            changes["teacher"] = {
                "source": "speech_embedding",
                "path": str(options.teacher.resolve()),
                "layer": 6,
            }
        metrics = run(name, changes, options.work, options.output, options.steps)
        keep("ingredients", {"run": name, **metrics})
    rows = []
    for row in sorted(read("ingredients"), key=lambda row: list(RUNS).index(row["run"])):
        test = row["test_phone_error_rate"]
        rates = [test["all"], test["gender=male"], test["gender=female"], row["dev_phone_error_rate"]["all"]]
        rows.append(
            [RUNS[row["run"]][0], f"{row['train_hours']:.1f}", row["steps"], *(percent(r) for r in rates)]
        )
    print(
        "\n".join(table(["speech", "hours", "steps", "test PER (%)", "male", "female", "dev PER (%)"], rows))
    )


if __name__ == "__main__":
    main()
