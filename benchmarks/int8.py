"""What detectors miss as they are and in their int8 form, and what fires at the threshold that both hold.

    python benchmarks/int8.py --data DATA --work WORK RUN...

``RUN`` are folders of ``kws train`` for one of the words of ``benchmarks/keywords.py``, such as those in
``WORK/runs``. Each is exported; a Markdown table is printed.
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
from benchmarks.thresholds import fired  # noqa: E402
from export.quantize import to_int8  # noqa: E402
from export.to_onnx import export  # noqa: E402
from kws import Detector  # noqa: E402
from kws.studies.held_out import UnseenAudio  # noqa: E402
from kws.studies.scoring import count_misses, detector_scores  # noqa: E402

RATE = 1.0
HEADS = ["detector", "form", "MB", "missed at 1 FA/h", "FA/h at its threshold", "missed at its threshold"]


def row(name: str, form: str, path: Path, test: UnseenAudio) -> list[str]:
    """Return what one file misses, at ``RATE`` and at the threshold that it holds."""
    config = Detector(path).decision_config
    positives, negatives, hop_s = detector_scores(path, test)
    free = replace(config, thresholds=(1.0,))
    counts = count_misses(positives, negatives, test.hours, (RATE,), free, hop_s).values()
    missed = [1 - len(set(fired(clips, config, hop_s))) / len(clips) for clips in positives.values()]
    return [
        name,
        form,
        f"{path.stat().st_size / 1e6:.2f}",
        " / ".join(percent(len(count[RATE].missed) / count[RATE].clips) for count in counts),
        f"{len(fired([negatives], config, hop_s)) / test.hours:.2f}",
        " / ".join(map(percent, missed)),
    ]


def rows(run: Path, data: Path, work: Path) -> Iterator[list[str]]:
    """Export a run in both forms and yield a row for each."""
    whole = export(run)
    test = corpora.test_audio(data, work, Detector(whole).keywords[0])
    yield row(run.name, "float32", whole, test)
    yield row(run.name, "int8", to_int8(whole)[0], test)


def main() -> None:
    """Read every run and print the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of `kws train`")
    arguments = parser.parse_args()
    found = [row for run in arguments.runs for row in rows(run, arguments.data, arguments.work)]
    print("\n".join(table(HEADS, found)))


if __name__ == "__main__":
    main()
