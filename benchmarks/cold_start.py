"""What detectors miss that hear each clip from a cold start, and after silence, as a device does.

    python benchmarks/cold_start.py --data DATA --work WORK RUN...

``RUN`` are folders of ``kws train`` or ``kws enroll`` that ``kws export`` has seen, for one of the words of
``benchmarks/keywords.py``. Prints misses at 1 false accept per hour of the same negatives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from benchmarks import corpora  # noqa: E402
from benchmarks.short_runs import percent, table  # noqa: E402
from kws import Detector  # noqa: E402
from kws.studies.scoring import count_misses, detector_scores  # noqa: E402

RATE = 1.0


def rows(run: Path, data: Path, work: Path) -> Iterator[list[str]]:
    """Yield what a detector misses after each beginning, one row for each."""
    detector = Detector(run / "model.onnx")
    test = corpora.test_audio(data, work, detector.keywords[0])
    config = replace(detector.decision_config, thresholds=(1.0,))
    heard = {"a cold start": test.positives, "silence": test.after_silence().positives}
    clips = {f"{after} {name}": each for after, versions in heard.items() for name, each in versions.items()}
    positives, negatives, hop_s = detector_scores(run / "model.onnx", replace(test, positives=clips))
    found = count_misses(positives, negatives, test.hours, (RATE,), config, hop_s)
    for after in heard:
        counts = [found[f"{after} {name}"][RATE] for name in test.positives]
        yield [run.name, after, " / ".join(percent(len(each.missed) / each.clips) for each in counts)]


def main() -> None:
    """Read every run and print the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder with a model.onnx")
    arguments = parser.parse_args()
    found = [row for run in arguments.runs for row in rows(run, arguments.data, arguments.work)]
    print("\n".join(table(["detector", "each clip after", "missed at 1 FA/h"], found)))


if __name__ == "__main__":
    main()
