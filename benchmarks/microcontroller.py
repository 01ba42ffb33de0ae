"""What microcontroller models miss in the real runtime, beside the detectors that they have learnt from.

    python -m benchmarks.study_data --data DATA --output MANIFESTS
    kws study benchmarks/keywords.yaml --root MANIFESTS --output STUDY --only '*-enroll-*'
    python -m benchmarks.microcontroller --data DATA --manifests MANIFESTS --study STUDY --work WORK

For each word of the benchmark a detector is trained from the ten recordings of the first draw, and one is
made from typed text. ``kws export --format microwakeword`` teaches a network what each of them hears, with
the speech of the benchmark and the training sentences of ``mini_librispeech`` as unlabelled speech. Both are
tested on the test audio of the study: six hours without the words. The network is heard through TensorFlow
Lite, by the package pymicro-wakeword; an hour of the test negatives also goes through whole numbers. Rows
lie in ``benchmarks/results/microcontroller.jsonl``; finished ones are not run again. Prints two Markdown
tables.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.short_runs import append_row, percent, read, table
from export.tflite_facts import read_student
from kws.audio import SAMPLE_RATE, to_float32
from kws.decisions import decide
from kws.micro_detector import MicroDetector, open_detector
from kws.student.features import micro_features
from kws.studies.held_out import UnseenAudio, load_test_audio
from kws.studies.scoring import detector_scores
from kws.workflows.enroll import enroll
from kws.workflows.microcontroller import MicroExport, export_microwakeword
from kws.workflows.train import train

KIND = "microcontroller"
SOURCES = ("10 recordings", "typed")
CELLS = list(itertools.product(corpora.KEYWORDS, SOURCES))
RATES = (0.5, 1.0, 2.0)
COMPARED_S = 3600
MISSED_HEADS = ["from", "model", "missed at 0.5 FA/h", "at 1", "at 2", "at its threshold", "FA/h there"]
MADE_HEADS = [
    "from",
    "made in, detector and network",
    "file",
    "arena",
    "multiply-adds in 30 ms",
    "largest difference in an hour",
    "detections in it, network and runtime",
]


def heard(model: Path, test: UnseenAudio) -> dict[str, Any]:
    """Return what a model misses at ``RATES`` and at its threshold, and what fires there."""
    config = open_detector(model).decision_config
    scores = detector_scores(model, test)
    missed, accepts = scores.at(test, config)
    counts = scores.misses(test, RATES, config).items()
    return {
        "missed": {
            name: {str(rate): [len(count[rate].missed), count[rate].clips] for rate in RATES}
            for name, count in counts
        },
        "threshold": config.thresholds[0],
        "missed_there": missed,
        "false_accepts": accepts,
    }


def agreement(made: MicroExport, test: UnseenAudio) -> dict[str, Any]:
    """Return how far whole numbers and the runtime are apart on an hour, in 256ths, and what both detect."""
    audio = to_float32(np.asarray(test.negatives[: COMPARED_S * SAMPLE_RATE]))
    detector = MicroDetector(made.files.manifest)
    runtime = np.concatenate([detector.scores(piece) for piece in np.split(audio, 60)])[1:]
    # the first feature comes with the third step of audio, and the runtime counts from there
    network = (
        read_student(made.files.model.read_bytes()).probabilities(micro_features(audio)[2:])[:, None] / 256
    )
    config = detector.decision_config
    fired = [
        len(decide(each.astype(np.float32), detector.keywords, config, detector.hop_s)[0])
        for each in (network, runtime)
    ]
    apart = np.abs(np.round(256 * (runtime - network)))
    return {"compared_s": COMPARED_S, "largest_difference": int(apart.max()), "detections": fired}


def row(keyword: str, source: str, arguments: argparse.Namespace, test: UnseenAudio) -> dict[str, Any]:
    """Make a detector and its network, and test both."""
    held, work = arguments.manifests, arguments.work
    native = [each for each in corpora.rows_of(arguments.data, "mini_librispeech") if each["split"] != "test"]
    speech = [held / "speech.jsonl", corpora.write_rows(work / "native.jsonl", native)]
    noise, run = held / "noise.jsonl", work / f"{keyword}-{source}".replace(" ", "-")
    begun = time.monotonic()
    if source == "typed":
        enroll([keyword], run, overwrite=True)
    else:
        recordings = corpora.positives_manifest(arguments.data, work, keyword, 10, 0)
        train([keyword], [recordings], [held / "speech.jsonl"], run, noise=[noise], cache=work / "cache")
    detector_s = time.monotonic() - begun
    (made,) = export_microwakeword(run, negatives=speech, noise=[noise], overwrite=True)
    facts = made.files.facts
    return {
        "keyword": keyword,
        "source": source,
        "detector_s": round(detector_s),
        "student_s": round(made.metrics["wall_s"]),
        "bytes": facts.num_bytes,
        "arena_bytes": facts.arena_bytes,
        "multiply_adds": facts.multiply_adds,
        "test_hours": round(test.hours, 3),
        **agreement(made, test),
        "onnx": heard(run / "model.onnx", test),
        "micro": heard(made.files.manifest, test),
    }


def missed_rows(entry: dict[str, Any]) -> list[list[str]]:
    """Return the two rows of the first table."""
    rows = []
    for name, form in (("onnx", "the detector, ONNX"), ("micro", "microcontroller, int8")):
        said = entry[name]
        at_rates = [
            " / ".join(percent(float(np.divide(*counts[str(rate)]))) for counts in said["missed"].values())
            for rate in RATES
        ]
        there = " / ".join(percent(float(np.divide(*counts))) for counts in said["missed_there"].values())
        accepts = f"{said['false_accepts'] / entry['test_hours']:.2f}"
        rows.append([f"{entry['keyword']}, {entry['source']}", form, *at_rates, there, accepts])
    return rows


def made_row(entry: dict[str, Any]) -> list[str]:
    """Return the row of the second table."""
    return [
        f"{entry['keyword']}, {entry['source']}",
        f"{entry['detector_s']} s + {entry['student_s']} s",
        f"{entry['bytes'] / 1000:.1f} kB",
        f"{entry['arena_bytes'] / 1000:.1f} kB",
        f"{entry['multiply_adds']:,}",
        f"{entry['largest_difference']} of 256",
        " and ".join(map(str, entry["detections"])),
    ]


def main() -> None:
    """Make what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--manifests", type=Path, required=True, help="what benchmarks.study_data wrote")
    parser.add_argument("--study", type=Path, required=True, help="output of kws study, for its test audio")
    parser.add_argument(
        "--work", type=Path, default=Path("work/microcontroller"), help="folder for what is made"
    )
    parser.add_argument("--only", nargs="*", help="cells of these words and sources alone")
    arguments = parser.parse_args()
    found = read(KIND)
    done = {(entry["keyword"], entry["source"]) for entry in found}
    for keyword, source in CELLS:
        left = arguments.only and not {keyword, source} <= set(arguments.only)
        if (keyword, source) not in done and not left:
            (listed,) = arguments.study.glob(f"test/*/{keyword}-*.json")
            test = load_test_audio(listed.parent, listed.stem)
            found.append(row(keyword, source, arguments, test))
            append_row(found[-1], KIND)
    print("\n".join(table(MISSED_HEADS, [cells for entry in found for cells in missed_rows(entry)])))
    print("\n" + "\n".join(table(MADE_HEADS, [made_row(entry) for entry in found])))


if __name__ == "__main__":
    main()
