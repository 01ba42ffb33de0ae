"""What the threshold of a typed phrase promises and what happens: false accepts on other people's speech.

    python -m benchmarks.enrolled_thresholds --data DATA --work WORK

``kws enroll PHRASE`` chooses its threshold on background speech that ships, or on ``--negatives``: here the
dev speech of ``benchmarks/keywords.yaml``, 0.7 h. Each detector is read at that threshold on the test audio
of that benchmark; its words are missed or not, of other phrases there are no clips. Rows lie in
``benchmarks/results/enrolled_thresholds.jsonl``; finished ones are not run again. Prints a Markdown table.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.short_runs import RESULTS, append_row, percent, table
from benchmarks.thresholds import LEAST
from kws import Detector
from kws.enrollment.methods import EXAMPLES, PHONES
from kws.studies.scoring import detector_scores
from kws.workflows.enroll import enroll

KIND = "enrolled_thresholds"
PHRASES = (*corpora.KEYWORDS, "hey robot", "alexa", "silver moon", "okay lamp")
"""None is said in the test audio."""
MORE_PHRASES = (
    "bumblebee",
    "grasshopper",
    "blueberry muffin",
    "terminator",
    "hey snips",
    "ok google",
    "smart mirror",
    "picture frame",
)
"""The same, for the default alone."""
METHODS = (EXAMPLES, PHONES)
BACKGROUNDS = ("ships", "own")
CELLS = [
    *itertools.product(PHRASES, METHODS, BACKGROUNDS),
    *((phrase, METHODS[0], BACKGROUNDS[0]) for phrase in MORE_PHRASES),
]
"""Phrases, methods and backgrounds that are read."""
RATE = 0.5
"""The default of ``kws enroll``, in false accepts per hour."""


def row(phrase: str, method: str, background: str, data: Path, work: Path) -> dict[str, Any]:
    """Enroll a phrase and read it at its threshold."""
    negatives, noise = corpora.training_manifests(data, work)
    dev = [entry for entry in map(json.loads, negatives.open(encoding="utf-8")) if entry["split"] == "dev"]
    own = corpora.write_rows(work / "dev.jsonl", dev)
    made = enroll(
        [phrase],
        work / KIND / f"{phrase}-{method}-{background}".replace(" ", "_"),
        method=method,
        negatives=[own] if background == "own" else (),
        noise=[noise] if method == EXAMPLES else (),
        false_accepts_per_hour=RATE,
        overwrite=True,
    )
    spoken = phrase in corpora.KEYWORDS
    test = corpora.test_audio(data, work, phrase if spoken else corpora.KEYWORDS[0])
    if not spoken:
        test = replace(test, positives={})
    decision = Detector(made.model).decision_config
    missed, accepts = detector_scores(made.model, test).at(test, decision)
    return {
        "phrase": phrase,
        "method": method,
        "background": background,
        "copies": made.metrics.get("dev_copies", 0),
        "background_hours": made.metrics["dev_hours"],
        "threshold": decision.thresholds[0],
        "wished_per_hour": RATE,
        "false_accepts": accepts,
        "test_hours": round(test.hours, 3),
        "missed": missed,
    }


def summary(found: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row of the table for each method, background and number of copies."""
    ordered = sorted(found, key=lambda entry: (*PHRASES, *MORE_PHRASES).index(entry["phrase"]))
    for method in METHODS:
        for background in BACKGROUNDS:
            here = [
                entry for entry in ordered if (entry["method"], entry["background"]) == (method, background)
            ]
            for copies in sorted({entry["copies"] for entry in here}):
                own = [entry for entry in here if entry["copies"] == copies]
                rates = np.array([entry["false_accepts"] / entry["test_hours"] for entry in own])
                spoken = [entry["missed"] for entry in own if entry["missed"]]
                missed = [
                    percent(float(np.mean([np.divide(*entry[name]) for entry in spoken])))
                    for name in (spoken[0] if spoken else ())
                ]
                yield [
                    method,
                    background,
                    f"{copies:g}",
                    f"{np.mean([entry['background_hours'] for entry in own]):.2f}",
                    " ".join(f"{rate:.1f}" for rate in rates),
                    f"{np.exp(np.log(np.maximum(rates, LEAST)).mean()):.2f}",
                    " / ".join(missed) or "–",
                ]


def main() -> None:
    """Run what is missing and print the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("--only", nargs="*", help="run cells of these phrases, methods and backgrounds alone")
    arguments = parser.parse_args()
    path = RESULTS / f"{KIND}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    done = {(entry["phrase"], entry["method"], entry["background"]) for entry in found}
    for cell in CELLS:
        left = arguments.only and not set(cell) <= set(arguments.only)
        if cell not in done and not left:
            found.append(row(*cell, arguments.data, arguments.work))
            append_row(found[-1], KIND)
    heads = ["method", "background", "copies", "hours", "false accepts per hour, by phrase", "geometric mean"]
    print("\n".join(table([*heads, "missed (%)"], summary(found))))


if __name__ == "__main__":
    main()
