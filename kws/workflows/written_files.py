"""Names of all files that each command writes into its ``--output``: the only ones that it ever removes.

A name is relative to the folder, with ``/`` between parts; ``*``, ``?`` and ``[...]`` stand for a piece of
one part. :mod:`kws.workflows.folders` writes the names into a folder before anything else is written there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIST = ".kws.json"
"""File in each folder with the names of what may be removed from it."""

_HEX8 = "[0-9a-f]" * 8
_DIGITS6 = "[0-9]" * 6
_REPORTS = ("report.json", "report.md")
_SPOKEN = (
    "positives.jsonl",
    "negatives.jsonl",
    *(f"audio/*/*/{_DIGITS6}-{_HEX8}.{suffix}" for suffix in ("flac", "wav", "ogg", "opus")),
    f"samples/*-{_HEX8}.wav",
)
"""What :func:`data_prep.synthesis.keyword.synthesize_keyword` writes."""
_LOG = ("log/metrics.csv", "log/metrics-[0-9]*.csv", "log/hparams.yaml")


def inside(folder: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return names of files in a folder as seen from the folder above it."""
    return tuple(f"{folder}/{name}" for name in names)


CHECKPOINTS = inside("checkpoints", ("best.ckpt", "last.ckpt", "previous.ckpt"))
DECODED = inside("cache", (f"{_HEX8}{_HEX8}.int16", f"{_HEX8}{_HEX8}.json", "measurements.jsonl"))
"""Decoded audio and measurements: a run that goes on needs them, a finished one does not."""
_VOICES = tuple(
    name
    for kind in ("speech", "held-out", "confusables")
    for name in inside(f"cache/synthetic/{kind}/{_HEX8}", _SPOKEN)
)
_DATA = inside(
    "data",
    (
        *(f"{name}.jsonl" for name in ("positives", "negatives", "noise", "target", "synthetic")),
        *(
            f"{name}/{report}"
            for name in ("positives", "negatives", "noise", "target")
            for report in _REPORTS
        ),
        "recordings-[0-9].jsonl",
        "recordings-[0-9][0-9].jsonl",
        *inside(f"voices/{_HEX8}", _SPOKEN),
    ),
)
_REPORT = (LIST, "evaluation.json", "report.html")
_EXPORTED = tuple(
    f"model{form}.{suffix}" for form in ("", ".int8") for suffix in ("onnx", "verify.json", "json")
)
_MODEL = ("config.yaml", "weights.safetensors", "metrics.json")
_RUN = (
    LIST,
    "run.json",
    *_MODEL,
    "provenance.json",
    *_DATA,
    *DECODED,
    *_VOICES,
    *CHECKPOINTS,
    *_LOG,
    "tensorboard/events.out.tfevents.*",
    "tensorboard/hparams.yaml",
    *_EXPORTED,
    *inside("evaluation", _REPORT),
    *inside("model-evaluation", _REPORT),
    *inside("model.int8-evaluation", _REPORT),
)

MICRO_WORK = tuple(
    name
    for folder in (f"work/*-{_HEX8}",)
    for name in (
        *inside(folder, ("*.npz", "student.pt")),
        *inside(f"{folder}/voices", _SPOKEN),
        *inside(f"{folder}/cache", (f"{_HEX8}{_HEX8}.int16", f"{_HEX8}{_HEX8}.json", "measurements.jsonl")),
    )
)
"""What an export for a microcontroller goes on from."""
_MICRO = (LIST, "*.tflite", "*.json", *_DATA, *DECODED, *MICRO_WORK)


@dataclass(frozen=True)
class FolderKind:
    """What a folder is.

    Attributes:
        name: in the list of the folder.
        what: for a person.
        files: names of all that is written into it.
        marks: file -> piece of text in it, one of which tells a folder that an earlier version made.
        goes_on: names of what a stopped command goes on from.
    """

    name: str
    what: str
    files: tuple[str, ...]
    marks: tuple[tuple[str, str], ...] = ()
    goes_on: tuple[str, ...] = ()


RUN = FolderKind(
    "run",
    "a run of `kws train` or `kws enroll`",
    (*_RUN, *inside("control", _RUN), *inside("microwakeword", _MICRO)),
    (("run.json", '"identity"'),),
    (*CHECKPOINTS, "metrics.json", "cache/*.int16"),
)
MICROCONTROLLER = FolderKind(
    "microcontroller",
    "models for a microcontroller of `kws export`",
    _MICRO,
    (),
    (*inside("work/*", ("*.npz", "student.pt")),),
)
PROBE = FolderKind(
    "probe",
    "a result of `kws probe`",
    (LIST, "probe.json", "probe.md", "probe.png", *_DATA, *DECODED),
    (("probe.json", '"recommended"'),),
)
PRETRAINING = FolderKind(
    "pretraining",
    "a run of `kws pretrain`",
    (
        LIST,
        *_MODEL,
        "words.safetensors",
        "speech.json",
        "left_out.jsonl",
        *CHECKPOINTS,
        *_LOG,
        *DECODED,
        "teacher/*.npz",
    ),
    (("speech.json", '"speech"'), ("metrics.json", '"steps"')),
    (*CHECKPOINTS, "metrics.json", "cache/*.int16"),
)
PREPARED = FolderKind(
    "prepared",
    "a result of `kws prep`",
    (LIST, "manifest.jsonl", *_REPORTS, ".done", "measurements.jsonl"),
    ((".done", '"recordings"'), ("measurements.jsonl", '"stats"')),
)
SPOKEN = FolderKind("spoken", "synthetic speech of `kws prep`", (LIST, *_SPOKEN))
CORPUS = FolderKind("corpus", "a manifest of a corpus by `kws prep`", (LIST, "manifest.jsonl"))
REPORT = FolderKind("report", "a report of `kws eval`", _REPORT, (("evaluation.json", '"negative_hours"'),))
STUDY = FolderKind(
    "study",
    "a study",
    (
        LIST,
        "study.json",
        "positives/*.jsonl",
        f"test/{_HEX8}????/*.json",
        f"test/{_HEX8}????/*.npy",
    ),
    (("study.json", '"study"'),),
    ("cells/*.json", "test/*/*.npy"),
)
CELL = FolderKind("cell", "a cell of `kws study`", (*RUN.files, "negatives.jsonl"))
QUICKSTART = FolderKind(
    "quickstart",
    "a result of `kws quickstart`",
    (LIST, *inside("speech", _SPOKEN), "stream.wav", *inside("report", _REPORT)),
    (
        ("detector/run.json", '"identity"'),
        ("run/run.json", '"identity"'),
        ("typed/run.json", '"identity"'),
        ("speech/positives.jsonl", '"path"'),
    ),
    ("detector/metrics.json", "speech/positives.jsonl"),
)
WEB = FolderKind(
    "web",
    "a page of `kws web`",
    (
        LIST,
        *("index.html", "page.js", "page.css", "style.css", "curve.js", "recent.js", "texts.js"),
        *("offline.js",),
        *("sw.js", "icon.svg", "app.webmanifest"),
        *("index.js", "index.d.ts", "detector.js", "decisions.js", "resampler.js"),
        *("microphone.js", "microphone-worklet.js", "pieces.js", "package.json", "README.md"),
        *("model.onnx", "model.json"),
        *inside("onnxruntime", ("ort.js", "ort-wasm-simd-threaded.wasm", "LICENSE.txt")),
    ),
)
SCORED = FolderKind(
    "scored",
    "a result of `kws score`",
    (
        LIST,
        *("score.json", "detections.jsonl", "detections.csv", "hits.jsonl", "summary.json"),
        *(f"{place}/{_HEX8}{_HEX8}.{suffix}" for place, suffix in (("cells", "json"), ("scores", "jsonl"))),
        f"scores/{_HEX8}{_HEX8}.parquet",
        "logs/group-*.log",
    ),
    (),
    ("cells/*.json",),
)
