"""Misses of typed keywords by the synthetic voices that say them: ``kws enroll KEYWORD`` and nothing else.

    kws voices fetch kokoro
    python -m benchmarks.voices --data DATA --work WORK

Each row is ``kws enroll`` with ``--voices`` as named, heard by ``kws.Detector`` on the test audio of
``benchmarks/keywords.yaml``. Misses are read at rates of false accepts and at the stored threshold. Rows lie
in ``benchmarks/results/voices.jsonl``; finished ones are not run again. Prints a Markdown table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.short_runs import RESULTS, append_row, table
from kws import Detector
from kws.studies.scoring import detector_scores
from kws.workflows.enroll import enroll

KIND = "voices"
RATES = (0.5, 1.0, 2.0)
"""False accepts per hour at which misses are read."""
TABLED = 1.0
"""The one of the table."""
VOICES = (("espeak", "flite"), ("espeak", "kokoro"), ("espeak", "flite", "kokoro"))
"""Engines of each row."""


def row(keyword: str, voices: Sequence[str], data: Path, work: Path) -> dict[str, Any]:
    """Enroll a keyword by voices and read it at rates and at its threshold."""
    test = corpora.test_audio(data, work, keyword)
    started = time.monotonic()
    made = enroll([keyword], work / KIND / f"{keyword}-{'-'.join(voices)}", voices=voices, overwrite=True)
    wall_s = time.monotonic() - started
    decision = Detector(made.model).decision_config
    scores = detector_scores(made.model, test)
    missed, accepts = scores.at(test, decision)
    return {
        "keyword": keyword,
        "voices": list(voices),
        "threshold": decision.thresholds[0],
        "false_accepts": accepts,
        "test_hours": round(test.hours, 3),
        "missed": missed,
        "missed_at": {
            name: {str(rate): [len(count.missed), count.clips] for rate, count in by_rate.items()}
            for name, by_rate in scores.misses(test, RATES, decision).items()
        },
        "wall_s": round(wall_s, 1),
    }


def summary(found: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row of the table for each keyword and its voices; misses are percentages by condition."""
    for entry in sorted(found, key=lambda entry: (entry["keyword"], len(entry["voices"]), entry["voices"])):
        at_rate = [by_rate[str(TABLED)] for by_rate in entry["missed_at"].values()]
        told = [
            " / ".join(f"{100 * missed / clips:.1f}" for missed, clips in cells)
            for cells in (at_rate, entry["missed"].values())
        ]
        per_hour = entry["false_accepts"] / entry["test_hours"]
        yield [
            entry["keyword"],
            ", ".join(entry["voices"]),
            *told,
            f"{per_hour:.1f}",
            f"{entry['wall_s']:.0f}",
        ]


def main() -> None:
    """Run what is missing and print the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("--only", nargs="*", help="run cells of these keywords and engines (a+b) alone")
    arguments = parser.parse_args()
    path = RESULTS / f"{KIND}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    done = {(entry["keyword"], tuple(entry["voices"])) for entry in found}
    for keyword in corpora.KEYWORDS:
        for voices in VOICES:
            left = arguments.only and not {keyword, "+".join(voices)} <= set(arguments.only)
            if (keyword, voices) not in done and not left:
                found.append(row(keyword, voices, arguments.data, arguments.work))
                append_row(found[-1], KIND)
    heads = ["keyword", "voices", f"missed (%) at {TABLED:g} per hour", "at the stored threshold"]
    print("\n".join(table([*heads, "false accepts per hour there", "seconds"], summary(found))))


if __name__ == "__main__":
    main()
