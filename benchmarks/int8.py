"""What detectors miss as they are and in their int8 form, and what fires at the threshold that both hold.

    python -m benchmarks.int8 --data DATA --work WORK RUN...

``RUN`` are folders of ``kws train`` for one of the words of ``benchmarks/keywords.yaml``, such as those in
``WORK/runs``. Each is exported; a Markdown table is printed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import corpora
from benchmarks.short_runs import percent, table
from export.quantize import to_int8
from export.to_onnx import export
from kws import Detector
from kws.studies.held_out import UnseenAudio
from kws.studies.scoring import detector_scores

RATES = (0.5, 1.0)
HEADS = [
    "detector",
    "form",
    "MB",
    "missed at 0.5 FA/h",
    "missed at 1 FA/h",
    "FA/h at its threshold",
    "missed at its threshold",
]


def row(name: str, form: str, path: Path, test: UnseenAudio) -> tuple[list[str], list[float]]:
    """Return what one file misses, at ``RATES`` and at the threshold that it holds, as text.

    Also returns the percent missed at the first of ``RATES``, by condition.
    """
    config = Detector(path).decision_config
    scores = detector_scores(path, test)
    counts = scores.misses(test, RATES, config).values()
    missed, accepts = scores.at(test, config)
    cells = [
        name,
        form,
        f"{path.stat().st_size / 1e6:.2f}",
        *(
            " / ".join(percent(len(count[rate].missed) / count[rate].clips) for count in counts)
            for rate in RATES
        ),
        f"{accepts / test.hours:.2f}",
        " / ".join(percent(lost / clips) for lost, clips in missed.values()),
    ]
    return cells, [100 * len(count[RATES[0]].missed) / count[RATES[0]].clips for count in counts]


def rows(run: Path, data: Path, work: Path) -> list[tuple[list[str], list[float]]]:
    """Export a run in both forms and return what :func:`row` says of each."""
    whole = export(run)
    (keyword,) = Detector(whole).keywords
    test = corpora.test_audio(data, work, keyword)
    name = f"{run.name} ({keyword})"
    return [row(name, "float32", whole, test), row(name, "int8", to_int8(whole)[0], test)]


def main() -> None:
    """Read every run, print the table and what the int8 form loses."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of `kws train`")
    arguments = parser.parse_args()
    found = [rows(run, arguments.data, arguments.work) for run in arguments.runs]
    print("\n".join(table(HEADS, [cells for of_run in found for cells, _ in of_run])))
    lost = np.array([np.subtract(small[1], whole[1]) for whole, small in found]).ravel()
    print(
        f"\nint8 misses {lost.mean():+.2f} points more at {RATES[0]:g} false accepts per hour, the mean of "
        f"{len(lost)} detectors and conditions ({lost.min():+.2f} to {lost.max():+.2f})."
    )


if __name__ == "__main__":
    main()
