"""How fast a graph could be on this processor at best, and where its time goes by operator: ``kws bench``.

Each chunk reads every weight once and multiplies. Both have a speed that no program exceeds; it is measured
here, so that a cost can be told from a limit.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from export.fixed import of_one_length
from kws.detector import Detector

MEASURE_S = 0.2
"""Processor time that each speed is measured for, in seconds."""

MATRIX = 384
"""Rows and columns of the matrices whose product shows the peak: they stay in the cache."""

PRODUCTS = ("MatMul", "Gemm", "Conv", "MatMulInteger", "ConvInteger", "GRU")


@dataclass(frozen=True, slots=True)
class Limit:
    """The least time of one chunk, by what must be read and by what must be computed."""

    weight_bytes: int
    """Weights that a chunk reads."""
    multiply_adds: int
    """Products of weights and values in a chunk."""
    bytes_per_s: float
    """Speed at which one core of this machine reads as many bytes again and again."""
    multiply_adds_per_s: float
    """Speed of one core in the product of large float32 matrices."""

    @property
    def least_ms(self) -> float:
        """The greater of both times, in milliseconds."""
        return 1000 * max(self.weight_bytes / self.bytes_per_s, self.multiply_adds / self.multiply_adds_per_s)


def find_limit(path: Path, chunk_samples: int) -> Limit:
    """Measure this processor and count what a graph must do.

    Args:
        path: exported file.
        chunk_samples: of one run.
    """
    model = onnx.load(str(path))
    weight_bytes = sum(
        onnx.numpy_helper.to_array(entry).nbytes
        for entry in model.graph.initializer
        if np.prod(entry.dims) > 1
    )
    return Limit(weight_bytes, multiply_adds(model, chunk_samples), _read_speed(weight_bytes), _peak_speed())


def multiply_adds(model: onnx.ModelProto, chunk_samples: int) -> int:
    """Count the products of weights and values in one run of a chunk, of one stream.

    Args:
        model: as exported; it is not changed.
        chunk_samples: of the run.
    """
    graph = of_one_length(model, chunk_samples).graph
    shapes = {entry.name: list(entry.dims) for entry in graph.initializer}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        shapes[entry.name] = [size.dim_value for size in entry.type.tensor_type.shape.dim]
    return sum(_products(node, shapes) for node in graph.node)


def _products(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    """Count those of one node; 0 where it multiplies no weights or its shapes are not known."""
    if node.op_type not in PRODUCTS:
        return 0
    weight = shapes.get(node.input[1], [])
    if node.op_type == "GRU":
        frames = shapes.get(node.input[0], [0])[0]
        return int(frames * (np.prod(weight) + np.prod(shapes.get(node.input[2], [0]))))
    values = shapes.get(node.output[0], [0])
    if node.op_type in ("Conv", "ConvInteger"):
        return int(np.prod(values) * np.prod(weight[1:]))
    return int(np.prod(shapes.get(node.input[0], [0])) * (weight[-1] if weight else 0))


@lru_cache(maxsize=8)
def _read_speed(size: int) -> float:
    """Return bytes per second at which one core sums an array of this size, again and again."""
    array = np.ones(max(size // 4, 1024), np.float32)
    return array.nbytes / _seconds(lambda: np.add.reduce(array))


@lru_cache(maxsize=1)
def _peak_speed() -> float:
    """Return multiply-adds per second of one core in a product of float32 matrices."""
    left, right = (np.full((MATRIX, MATRIX), value, np.float32) for value in (0.5, 0.25))
    return MATRIX**3 / _seconds(lambda: left @ right)


def _seconds(call: Callable[[], object]) -> float:
    """Return the least processor time of a call, of all threads."""
    call()
    best, until = float("inf"), time.process_time() + MEASURE_S
    while time.process_time() < until:
        began = time.process_time()
        for _ in range(8):
            call()
        best = min(best, (time.process_time() - began) / 8)
    return best


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """What the nodes of one operator take in a run."""

    operator: str
    """Its name after onnxruntime's optimisation."""
    nodes: int
    """How many there are."""
    us_per_run: float
    """Time of all of them in one run, in microseconds, with what watching adds to each node."""
    share: float
    """Of the time of all nodes."""


def operator_times(path: Path, chunk_ms: float | None = None, runs: int = 500) -> tuple[OperatorTime, ...]:
    """Let onnxruntime tell where the time of a chunk goes; the longest first.

    Args:
        path: exported file.
        chunk_ms: step in milliseconds; None takes that of the file.
        runs: chunks that are timed.
    Raises:
        CheckpointError, ConfigError: the file is no exported model, or does not take ``chunk_ms``.
    """
    detector = Detector(path, chunk_ms=chunk_ms)  # checks the file
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling = True
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = {
            node.name: np.zeros([size if isinstance(size, int) else 1 for size in node.shape], np.float32)
            for node in session.get_inputs()
        }
        inputs["waveform"] = generator.normal(0, 0.1, (1, detector.chunk_samples)).astype(np.float32)
        for _ in range(runs):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
            counts[event["args"]["op_name"]] += 1
    total = sum(spent.values())
    return tuple(
        OperatorTime(name, counts[name] // runs, us / runs, us / total) for name, us in spent.most_common()
    )
