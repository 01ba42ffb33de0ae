"""Exported file to its int8 form: weights of matrix products in 8 bits, their inputs quantised as they come.

Smaller, and on many processors faster; scores move, so how far is measured and written beside the file. What
that costs in misses is for ``kws eval`` to say. The front end stays in float32: its power spectrum spans too
many decades. Since the range of an input is taken per run, the file is run in chunks of one length only, and
of one stream: so it, too, gives the same scores in any chunking.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from export.fixed import fix_chunk
from export.verify import make_signals, open_session, run_onnx
from kws.audio import atomic_write
from kws.detector import Detector
from kws.model_manifest import write_manifest
from kws.weights import write_json

FRONT_END = "frontend"
"""Part of the name of every weight of the front end."""


@dataclass(frozen=True, slots=True)
class Int8Report:
    """How the int8 form compares with the float32 file."""

    file: str
    """Name of the int8 file."""
    source_bytes: int
    """Size of the float32 file."""
    int8_bytes: int
    """Size of the int8 file."""
    max_score_difference: float
    """Over all frames and keywords of the test signals, in units of the score (0 to 1)."""
    mean_score_difference: float
    """Mean of the absolute difference."""
    source_detections: int
    """Detections of the float32 file in the test signals."""
    int8_detections: int
    """Detections of the int8 file in the test signals."""


def to_int8(
    path: str | Path, output: str | Path | None = None, chunk_ms: float | None = None
) -> tuple[Path, Int8Report]:
    """Write the int8 form of an exported file; of the metadata only the chunk changes.

    Args:
        path: the float32 ``.onnx`` file.
        output: the file to write; None writes ``model.int8.onnx`` beside ``model.onnx``.
        chunk_ms: the one step that it takes, in milliseconds; None keeps that of ``path``.
    Returns:
        The file, and how it compares; the latter is also written beside it as ``model.int8.verify.json``.
    Raises:
        CheckpointError: ``path`` is missing or no exported model.
        ConfigError: the file does not allow ``chunk_ms``.
    """
    path = Path(path)
    output = path.with_suffix(".int8.onnx") if output is None else Path(output)
    source = Detector(path, chunk_ms=chunk_ms)  # also checks the file
    with atomic_write(output) as temporary:
        changed = {"chunk_dynamic": "false", "chunk_samples": str(source.chunk_samples)}
        graph = fix_chunk(onnx.load(str(path)), source.chunk_samples)
        _quantize(graph, temporary, source.metadata | changed)
        report = _compare(path, temporary, source, output.name)
    write_json(output.with_suffix(".verify.json"), dataclasses.asdict(report))
    write_manifest(output)
    return output, report


def _quantize(graph: onnx.ModelProto, output: Path, metadata: dict[str, str]) -> None:
    """Write the int8 graph."""
    front_end = [node.name for node in graph.graph.node if any(FRONT_END in name for name in node.input)]
    before = logging.root.manager.disable
    logging.disable(
        max(before, logging.WARNING)
    )  # a note that asks for shape inference, which changes nothing here
    try:
        quantize_dynamic(
            graph,
            str(output),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=front_end,
        )
    finally:
        logging.disable(before)
    written = onnx.load(str(output))
    onnx.helper.set_model_props(written, metadata)
    onnx.save(written, str(output))


def _compare(path: Path, int8_path: Path, source: Detector, name: str) -> Int8Report:
    """Run both files on the test signals."""
    int8 = Detector(int8_path)
    sessions = open_session(path), open_session(int8_path)
    differences, counts = [], [0, 0]
    for waveform in make_signals(source.chunk_samples).values():
        pieces = np.split(waveform, range(source.chunk_samples, len(waveform), source.chunk_samples))
        ours, theirs = (run_onnx(session, pieces)[0] for session in sessions)
        differences.append(np.abs(ours - theirs).ravel())
        for index, detector in enumerate((source, int8)):
            counts[index] += len(detector.process(waveform))
            detector.reset()
    difference = np.concatenate(differences)
    return Int8Report(
        file=name,
        source_bytes=path.stat().st_size,
        int8_bytes=int8_path.stat().st_size,
        max_score_difference=float(difference.max()),
        mean_score_difference=float(difference.mean()),
        source_detections=counts[0],
        int8_detections=counts[1],
    )
