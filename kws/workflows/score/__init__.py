"""Hours of audio through one exported file: what fires where, and frame scores on request; ``kws score``.

A group of files is one job, whose result is a file of its own in ``cells``: a finished one is not run again,
a killed one is. Needs no torch; several processes need joblib.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kws.workflows import folders
from kws.workflows.written_files import SCORED

ScoreFormat = Literal["jsonl", "parquet"]

GROUP_BYTES = 64_000_000
GROUP_FILES = 200
"""Most bytes and files of one job: some ten minutes of work, which is all that a kill loses."""

MARKER = "score.json"
"""File of the settings; by it a worker knows that it sees the folder."""

BEFORE_S, AFTER_S = 2.0, 0.5
"""What a hit takes of the audio before and after the frame that fired, in seconds."""


@dataclass(frozen=True)
class ScoreSummary:
    """What was heard in all files.

    Attributes:
        detections: ``detections.jsonl``: path, keyword, time_s, score.
        hits: ``hits.jsonl``: the stretch around each detection, a manifest that ``kws train`` takes as
            negatives.
        hours: of audio that was scored.
        counts: keyword -> detections.
        skipped: path -> why it could not be read.
        failures: jobs that did not finish; the same call goes on from there.
        num_files: that were given.
    """

    detections: Path
    hits: Path
    hours: float
    counts: dict[str, int]
    skipped: dict[str, str]
    failures: tuple[str, ...]
    num_files: int


@folders.leaves_nothing(SCORED)
def score(
    model: Path,
    audio: Sequence[Path],
    output: Path,
    *,
    threshold: float | Mapping[str, float] | None = None,
    refractory_s: float | Mapping[str, float] | None = None,
    patience: int = 1,
    scores: ScoreFormat | None = None,
    jobs: int = 1,
    dask: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> ScoreSummary:
    """Let a model hear recordings of any length and number.

    Args:
        model: an exported ``.onnx``, or the folder of a run that holds one.
        audio: files, and folders that are searched for audio.
        output: folder of the result. The same call on it goes on where an earlier one stopped; one of other
            settings is refused.
        threshold: another threshold for all keywords, or keyword -> threshold.
        refractory_s: another shortest time between two detections of one keyword, in seconds, or keyword ->
            seconds.
        patience: frames in a row that must reach the threshold.
        scores: also write the score of each frame, as JSON Lines or Parquet.
        jobs: processes at once on this machine.
        dask: address of a Dask scheduler, whose workers see ``output`` and the audio under the same paths.
        overwrite: replace an earlier result of other settings.
        progress: show a bar.
    Raises:
        ConfigError: no audio is found, ``output`` holds something else, or a setting is out of range.
        CheckpointError: the model is no exported file.
        DependencyError: ``scores``, ``jobs`` or ``dask`` needs a package that is missing.
    """
    from kws.detector import Detector
    from kws.errors import ConfigError
    from kws.exported import model_file

    if jobs < 1:
        raise ConfigError(f"`jobs`: got {jobs}, allowed: 1 or more")
    model = model_file(model)
    detector = Detector(
        model, threshold, refractory_s=refractory_s, patience=patience
    )  # checks file and settings
    if scores == "parquet":
        _check_parquet()
    files = find_audio(audio)
    folders.keep_apart(output, {"model": (model,), "audio": audio}, above=False)
    folders.claim(output, SCORED)
    settings = {
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
        "decision": asdict(detector.decision_config),
        "scores": scores,
    }
    _begin(output, settings, overwrite)
    decision = {"threshold": threshold, "refractory_s": refractory_s, "patience": patience}
    requests = _requests(files, model, decision, scores, output, settings)
    failures = _run(requests, output, jobs, dask, progress)
    return _gather(requests, output, detector.keywords, failures, len(files))


def find_audio(sources: Sequence[Path]) -> list[Path]:
    """Return all audio files of some files and folders, each once, folders in the order of their names.

    Raises:
        ConfigError: a source is missing, or none holds audio.
    """
    from kws.decoding.formats import AUDIO_SUFFIXES
    from kws.errors import ConfigError

    found: dict[Path, None] = {}
    for source in sources:
        if not source.exists():
            raise ConfigError(f"`audio` {source}: no such file or folder")
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for path in files:
            if path.is_file() and (path == source or path.suffix.lower() in AUDIO_SUFFIXES):
                found.setdefault(path.absolute())
    if not found:
        raise ConfigError(
            f"`audio` {', '.join(map(str, sources))}: no audio there; known are "
            f"{', '.join(sorted(AUDIO_SUFFIXES))}"
        )
    return list(found)


def _check_parquet() -> None:
    from kws.errors import DependencyError

    try:
        import pyarrow  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
    except ModuleNotFoundError as error:
        raise DependencyError('`scores` as Parquet needs pyarrow: `pip install "kws[parquet]"`') from error


def _begin(output: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Write the settings, or find the same ones there."""
    from kws.audio import atomic_write
    from kws.errors import ConfigError

    path = output / MARKER
    text = json.dumps(settings, indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        if not overwrite:
            raise ConfigError(
                f"{output}: holds a result of another model or other settings; give `overwrite=True` or "
                "another `output`"
            )
        folders.clear(output)
        folders.claim(output, SCORED)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _requests(
    files: Sequence[Path],
    model: Path,
    decision: Mapping[str, Any],
    scores: ScoreFormat | None,
    output: Path,
    settings: dict[str, Any],
) -> dict[str, dict[str, Any]]:
    """Return identity -> what its process is told, group by group in the order of the files."""
    requests = {}
    for group in _groups(files):
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in group]
        identity = hashlib.sha256(json.dumps([settings, stats]).encode()).hexdigest()[:16]
        requests[identity] = {
            "model": str(model.absolute()),
            "files": [str(path) for path in group],
            "decision": {
                name: dict(value) if isinstance(value, Mapping) else value for name, value in decision.items()
            },
            "scores": scores,
            "output": str(output.absolute()),
            "identity": identity,
        }
    return requests


def _groups(files: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    size = 0
    for path in files:
        if group and (size > GROUP_BYTES or len(group) == GROUP_FILES):
            yield group
            group, size = [], 0
        group.append(path)
        size += path.stat().st_size
    yield group


def _run(
    requests: dict[str, dict[str, Any]], output: Path, jobs: int, dask: str | None, progress: bool
) -> tuple[str, ...]:
    """Run the groups that are not finished; returns what went wrong, in a sentence each."""
    from kws.workflows.score.group import PROGRAM, result_path, score_group

    left = {key: values for key, values in requests.items() if not result_path(output, key).is_file()}
    if jobs == 1 and dask is None:
        with _bar(len(requests), len(requests) - len(left), progress) as bar:
            for values in left.values():
                score_group(values)
                bar.update(1)
        return ()
    from kws.studies.pool import Job, run_jobs

    (output / "cells").mkdir(exist_ok=True)
    names = {key: f"group-{number:05d}" for number, key in enumerate(requests)}
    found = run_jobs(
        [Job(names[key], key, values) for key, values in left.items()],
        output,
        PROGRAM,
        num_jobs=jobs,
        dask=dask,
        num_finished=len(requests) - len(left),
        progress=progress,
        marker=MARKER,
        title="score",
        unit="group",
    )
    return tuple(map(str, found))


def _bar(total: int, finished: int, progress: bool) -> Any:
    """Return a bar over groups of files; one that shows nothing where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        return _NoBar()
    return tqdm(total=total, initial=finished, desc="score", unit="group", disable=None if progress else True)


class _NoBar:
    """Takes what a bar takes."""

    def __enter__(self) -> _NoBar:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def update(self, count: int) -> None:
        """Do nothing."""


def _gather(
    requests: Mapping[str, Any], output: Path, keywords: Sequence[str], failures: tuple[str, ...], files: int
) -> ScoreSummary:
    """Write the files of the whole result from those of the groups, in the order of the audio."""
    from kws.audio import atomic_write
    from kws.workflows.score.group import result_path

    results = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (result_path(output, key) for key in requests)
        if path.is_file()
    ]
    heard = [entry for result in results for entry in result["files"]]
    rows = [{"path": entry["path"], **found} for entry in heard for found in entry["detections"]]
    summary = ScoreSummary(
        detections=output / "detections.jsonl",
        hits=output / "hits.jsonl",
        hours=sum(entry["duration_s"] for entry in heard) / 3600,
        counts={name: 0 for name in keywords} | Counter(row["keyword"] for row in rows),
        skipped={entry["path"]: entry["skipped"] for entry in heard if entry["skipped"]},
        failures=failures,
        num_files=files,
    )
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    hits = [json.dumps(row, ensure_ascii=False) + "\n" for row in _hits(rows)]
    told = {
        "hours": summary.hours,
        "files": files,
        "detections": summary.counts,
        "detections_per_hour": {
            name: count / summary.hours if summary.hours else None for name, count in summary.counts.items()
        },
        "skipped": summary.skipped,
        "failures": list(failures),
    }
    for name, text in (
        ("detections.jsonl", "".join(lines)),
        ("hits.jsonl", "".join(hits)),
        ("summary.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n"),
    ):
        with atomic_write(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    with (
        atomic_write(output / "detections.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, ["path", "keyword", "time_s", "score"])
        writer.writeheader()
        writer.writerows(rows)
    return summary


def _hits(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return the stretch of audio around each detection as a row of a manifest; those that touch are one."""
    last: dict[str, Any] | None = None
    for row in sorted(rows, key=lambda row: (row["path"], row["time_s"])):
        start, end = max(0.0, row["time_s"] - BEFORE_S), row["time_s"] + AFTER_S
        if (
            last is not None
            and last["path"] == row["path"]
            and start <= last["offset_s"] + last["duration_s"]
        ):
            last["duration_s"] = round(end - last["offset_s"], 3)
            continue
        if last is not None:
            yield last
        last = {
            "path": row["path"],
            "offset_s": round(start, 3),
            "duration_s": round(end - start, 3),
            "source": "kws score",
        }
    if last is not None:
        yield last
