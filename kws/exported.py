"""The exported ``.onnx`` as a file: where it lies, what its metadata say, and whether its graph fits them.

Imports numpy and onnxruntime and no torch. Used by :mod:`kws.detector` and by what reads a file without
listening.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from kws.decisions import COMPETE_S, DecisionConfig
from kws.errors import CheckpointError
from kws.json_text import parse_json
from kws.pcm import SAMPLE_RATE

OPTIONAL = ("compete_s",)
"""Metadata that a file may lack: files of earlier versions do."""

FORMAT_VERSIONS = ("1", "2")
"""Versions of the file format that this detector reads. Since version 2 a graph takes several streams at once
where the encoder allows."""

MODEL_NAME = "model.onnx"
"""Name of the exported file in the folder of a run."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the metadata inside an exported file says, checked."""

    keywords: tuple[str, ...]
    """In the order of the score columns."""
    thresholds: tuple[float, ...]
    """One per keyword, chosen on the development set."""
    chunk_samples: int
    """Samples that one run takes, or the step of it where the length is dynamic."""
    chunk_dynamic: bool
    """One run may take any positive multiple of ``hop_samples``."""
    hop_samples: int
    """Samples from one frame of scores to the next."""
    lookahead_samples: int
    """How far a score lags behind the sound that it is about, in samples."""
    smoothing_frames: int
    """Length of the moving average over scores, in frames."""
    refractory_s: float
    """Shortest time between two detections of one keyword, in seconds."""
    license: str
    """Of the weights."""
    compete_s: float = COMPETE_S
    """Shortest time between detections of two keywords, in seconds."""

    def __post_init__(self) -> None:
        if not self.keywords or len(set(self.keywords)) != len(self.keywords):
            raise ValueError(f"`keywords`: got {list(self.keywords)}, expected one or more different names")
        if self.hop_samples < 1 or self.chunk_samples < 1 or self.chunk_samples % self.hop_samples:
            raise ValueError(
                f"`chunk_samples` {self.chunk_samples} is not a positive multiple of "
                f"`hop_samples` {self.hop_samples}"
            )
        if self.lookahead_samples < 0:
            raise ValueError(f"`lookahead_samples`: got {self.lookahead_samples}, expected 0 or more")


def model_file(path: str | Path) -> Path:
    """Return the exported file that is meant: the file itself, or ``model.onnx`` in the folder of a run.

    Raises:
        CheckpointError: there is none; the message says how to make it.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / MODEL_NAME).is_file():
        return path / MODEL_NAME
    others = sorted(found.name for found in path.glob("*.onnx"))
    cure = f"choose one of {', '.join(others)}" if others else f"make it: `kws export {path}`"
    raise CheckpointError(f"{path}: a folder without {MODEL_NAME}; {cure}")


def read_info(metadata: Mapping[str, str], path: Path) -> ModelInfo:
    """Check the metadata of an exported file and return it typed.

    Args:
        metadata: key -> text, as stored in the file.
        path: the file, for messages.
    Raises:
        CheckpointError: a key is missing or its value does not fit; the message names it.
    """
    version = metadata.get("format_version")
    if version is None:
        raise CheckpointError(
            f"{path}: the metadata holds no `format_version`, so this is no wake-word model of kws; "
            "make one with `kws export`"
        )
    if version not in FORMAT_VERSIONS:
        raise CheckpointError(
            f"{path}: format_version {version}, this kws reads {' and '.join(FORMAT_VERSIONS)}; "
            "upgrade kws or export the model again"
        )
    missing = [key for key in _READERS if key not in metadata and key not in OPTIONAL]
    if missing:
        raise CheckpointError(f"{path}: the metadata lacks {', '.join(missing)}; export the model again")
    values = {}
    for key, read in _READERS.items():
        if key not in metadata:
            continue
        try:
            values[key] = read(metadata[key])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: the metadata `{key}` is {metadata[key]!r} ({error}); export the model again"
            ) from error
    thresholds, sample_rate = values.pop("thresholds"), values.pop("sample_rate")
    try:
        if sample_rate != SAMPLE_RATE:
            raise ValueError(f"`sample_rate`: got {sample_rate}, expected {SAMPLE_RATE}")
        lacking = [keyword for keyword in values["keywords"] if keyword not in thresholds]
        if lacking:
            raise ValueError(f"`thresholds` has none for {', '.join(lacking)}")
        in_order = tuple(thresholds[keyword] for keyword in values["keywords"])
        info = ModelInfo(thresholds=in_order, license=values.pop("licence"), **values)
        DecisionConfig(in_order, info.smoothing_frames, info.refractory_s, info.compete_s)
        return info
    except ValueError as error:
        raise CheckpointError(
            f"{path}: the metadata does not fit: {error}; export the model again"
        ) from error


_READERS: dict[str, Callable[[str], Any]] = {
    "keywords": lambda text: tuple(str(keyword) for keyword in parse_json(text)),
    "sample_rate": int,
    "chunk_samples": int,
    "chunk_dynamic": {"true": True, "false": False}.__getitem__,
    "hop_samples": int,
    "lookahead_samples": int,
    "thresholds": lambda text: {keyword: float(value) for keyword, value in parse_json(text).items()},
    "smoothing_frames": int,
    "refractory_s": float,
    "licence": str,
    "compete_s": float,
}
"""Metadata that a file must hold -> how its text is read. What else it says is in ``Detector.metadata``."""


def open_session(path: Path, num_threads: int) -> onnxruntime.InferenceSession:
    """Open the graph on the processor, or raise naming the file."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path, or make the model with `kws export`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    try:
        try:
            given: str | bytes = str(path).encode() and str(path)
        except UnicodeEncodeError:  # bytes that are no UTF-8, which onnxruntime takes in no name
            given = path.read_bytes()
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise CheckpointError(
            f"{path}: onnxruntime cannot open it as an ONNX model ({error}); export it again"
        ) from error


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One tensor of the state of a stream, as the graph takes it."""

    name: str
    """``state_0``, ``state_1``, …; its successor is ``next_state_0``."""
    shape: tuple[int, ...]
    """For one stream."""
    batch_axis: int | None
    """The axis along which streams lie side by side; None where the graph takes one stream only."""


def check_graph(
    session: onnxruntime.InferenceSession, info: ModelInfo, path: Path
) -> tuple[StateTensor, ...]:
    """Compare inputs and outputs with the format; return the state tensors.

    The first axis of ``waveform`` counts streams: 1, or a name. Where it has a name, each state tensor has an
    axis of that name.

    Raises:
        CheckpointError: something does not follow the format.
    """
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    num_states = len(inputs) - 1
    names = [f"state_{index}" for index in range(num_states)]
    if sorted(inputs) != sorted(["waveform", *names]):
        raise CheckpointError(
            f"{path}: the inputs are {', '.join(inputs)}, expected waveform, state_0, state_1, ...; "
            "export it again"
        )
    wanted = ["scores", *(f"next_{name}" for name in names)]
    if sorted(outputs) != sorted(wanted):
        raise CheckpointError(
            f"{path}: the outputs are {', '.join(outputs)}, expected {', '.join(wanted)}; export it again"
        )
    for node in inputs.values():
        if node.type != "tensor(float)":
            raise CheckpointError(
                f"{path}: input {node.name} is {node.type}, expected float32; export it again"
            )
    batch = _check_waveform(inputs["waveform"].shape, info, path)
    return tuple(_state_tensor(name, inputs[name].shape, batch, path) for name in names)


def _check_waveform(shape: Sequence[Any], info: ModelInfo, path: Path) -> Any:
    """Return the first axis: 1, or the name of what counts streams."""
    samples = shape[-1] if shape else None
    fixed = isinstance(samples, int) and (info.chunk_dynamic or samples != info.chunk_samples)
    if len(shape) != 2 or fixed or (isinstance(shape[0], int) and shape[0] != 1):
        raise CheckpointError(
            f"{path}: input waveform has shape {shape}, the metadata says chunk_samples "
            f"{info.chunk_samples}, chunk_dynamic {str(info.chunk_dynamic).lower()}; export it again"
        )
    return shape[0]


def _state_tensor(name: str, shape: Sequence[Any], batch: Any, path: Path) -> StateTensor:
    """Return a state tensor for one stream."""
    named = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
    if [shape[axis] for axis in named] != ([] if isinstance(batch, int) else [batch]):
        raise CheckpointError(
            f"{path}: input {name} has shape {list(shape)}, expected fixed sizes but for the number of "
            f"streams, which is {batch!r} in the waveform; export it again"
        )
    single = tuple(size if isinstance(size, int) else 1 for size in shape)
    return StateTensor(name, single, named[0] if named else None)
