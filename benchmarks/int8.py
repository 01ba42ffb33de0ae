"""What detectors miss as they are and in their int8 form, and what fires at the threshold that both hold.

    python -m benchmarks.int8 --data DATA --work WORK RUN...

``RUN`` are folders of ``kws train`` for one of the words of ``benchmarks/keywords.yaml``, such as those in
``WORK/runs``. Each is exported; a Markdown table is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import corpora
from benchmarks.short_runs import percent, table
from export.quantize import to_int8
from export.to_onnx import export
from kws import Detector
from kws.studies.held_out import UnseenAudio
from kws.studies.scoring import detector_scores

RATE = 1.0
HEADS = ["detector", "form", "MB", "missed at 1 FA/h", "FA/h at its threshold", "missed at its threshold"]


def row(name: str, form: str, path: Path, test: UnseenAudio) -> list[str]:
    """Return what one file misses, at ``RATE`` and at the threshold that it holds."""
    config = Detector(path).decision_config
    scores = detector_scores(path, test)
    counts = scores.misses(test, (RATE,), config).values()
    missed, accepts = scores.at(test, config)
    return [
        name,
        form,
        f"{path.stat().st_size / 1e6:.2f}",
        " / ".join(percent(len(count[RATE].missed) / count[RATE].clips) for count in counts),
        f"{accepts / test.hours:.2f}",
        " / ".join(percent(lost / clips) for lost, clips in missed.values()),
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
