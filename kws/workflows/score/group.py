"""One job of ``kws score``: some files through one detector, in this process or in one of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kws import audio
from kws.audio import atomic_write
from kws.detector import Detector
from kws.errors import KwsError
from kws.pcm import SAMPLE_RATE

PROGRAM = "from kws.workflows.score.group import main; main()"
"""Python code of a job's process."""

BLOCK_S = 60.0
"""How much of a file is read at once; memory does not grow with its length."""


class ScoreSink(Protocol):
    """Takes the frame scores of files, in order."""

    def add(self, path: str, first_frame: int, scores: np.ndarray) -> None:
        """Take (frames, keywords) of a file, from a frame on."""


def main() -> None:
    """Run the job that a line of JSON on the input requests; end at once when the input ends."""
    from kws.workflows.own_process import end_with_input

    values = json.loads(sys.stdin.readline())
    end_with_input()
    score_group(values)


def result_path(output: Path, identity: str) -> Path:
    """Return the file of a finished job."""
    return output / "cells" / f"{identity}.json"


def score_group(values: dict[str, Any]) -> None:
    """Score the files of a group and write its result when all are done.

    Args:
        values: ``model``, ``files``, ``decision`` (arguments of :class:`kws.Detector`), ``scores`` (None,
            jsonl or parquet), ``output`` and ``identity``. A file that cannot be read is in the result, with
            the reason.
    """
    output, identity = Path(values["output"]), values["identity"]
    detector = Detector(values["model"], **values["decision"])
    with ExitStack() as stack:
        sink = None
        if values["scores"]:
            place = output / "scores" / f"{identity}.{values['scores']}"
            opened = _parquet if values["scores"] == "parquet" else _jsonl
            sink = stack.enter_context(opened(place, detector))
        found = [_score_file(Path(path), detector, sink) for path in values["files"]]
    with atomic_write(result_path(output, identity)) as temporary:
        temporary.write_text(json.dumps({"files": found}, ensure_ascii=False), encoding="utf-8")


def _score_file(path: Path, detector: Detector, sink: ScoreSink | None) -> dict[str, Any]:
    """Return what one file holds; pieces of it change nothing, as the detector keeps its state."""
    detector.reset()
    detections, samples, frames, reason = [], 0, 0, ""
    try:
        for block in audio.blocks(path, BLOCK_S):
            samples += len(block)
            scores, heard = detector.push(block)
            detections += heard
            if sink is not None:
                sink.add(str(path), frames, scores)
            frames += len(scores)
        detections += detector.finish()
    except (KwsError, OSError) as error:
        reason = str(error)
    return {
        "path": str(path),
        "duration_s": samples / SAMPLE_RATE,
        "skipped": reason,
        "detections": [
            {"keyword": each.keyword, "time_s": round(each.time_s, 3), "score": round(each.score, 6)}
            for each in detections
        ],
    }


@contextmanager
def _jsonl(place: Path, detector: Detector) -> Iterator[ScoreSink]:
    """Write a line of JSON for each frame: path, time_s of its end, and the score of each keyword."""

    class LineSink:
        def add(self, path: str, first_frame: int, scores: np.ndarray) -> None:
            for number, row in enumerate(scores.tolist(), first_frame + 1):
                told = dict(zip(detector.keywords, (round(score, 6) for score in row), strict=True))
                line = {"path": path, "time_s": round(number * detector.hop_s, 3), "scores": told}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

    with atomic_write(place) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield LineSink()


@contextmanager
def _parquet(place: Path, detector: Detector) -> Iterator[ScoreSink]:
    """Write columns: path, time_s of the end of each frame, and one of scores for each keyword."""
    import pyarrow  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import pyarrow.parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]

    columns = [("path", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())), ("time_s", pyarrow.float64())]
    schema = pyarrow.schema([*columns, *((name, pyarrow.float32()) for name in detector.keywords)])

    class TableSink:
        def add(self, path: str, first_frame: int, scores: np.ndarray) -> None:
            if not len(scores):
                return
            names = pyarrow.DictionaryArray.from_arrays(np.zeros(len(scores), np.int32), [path])
            times = (first_frame + 1 + np.arange(len(scores))) * detector.hop_s
            writer.write_batch(pyarrow.record_batch([names, times, *scores.T.copy()], schema=schema))

    with (
        atomic_write(place) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema) as writer,
    ):
        yield TableSink()
