"""Trained checkpoint to one ``.onnx`` file that a device runs alone: ``kws export``.

The file holds the front end, the encoder, the head, the sigmoid, the state of the stream, and all settings as
metadata. It is written under a temporary name and gets its own only when :mod:`export.verify` finds that it
computes what the checkpoint computes.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from export.graph import BATCH, ExportGraph, simplify_shapes
from export.graph import OPSET as OPSET
from export.verify import SCORE_TOLERANCE, STATE_TOLERANCE, Parity, compare
from kws.audio import SAMPLE_RATE, atomic_write
from kws.checkpoint import PROVENANCE, OperatingPoint, load_model, load_operating_point
from kws.config import config_hash, read_yaml
from kws.errors import CheckpointError, ConfigError, ExportMismatch
from kws.model import WakeWordModel
from kws.model_manifest import write_manifest
from kws.version import __version__
from kws.weights import CONFIG, write_json

FORMAT_VERSION = "2"
MODEL_FILE = "model.onnx"
CHUNK_MS = 80
"""Step of a device where the encoder leaves the choice: two of its frames, a delay that nobody notices."""
MAX_HOPS = 100_000  # over an hour in one run: a limit only because torch.export wants one
MAX_STREAMS = 100_000  # likewise
OPSETS = range(OPSET, 24)
"""Versions of ONNX's operators that a file can be written in."""


def export(
    run: str | Path,
    output: str | Path | None = None,
    chunk_ms: float | None = None,
    opset: int = OPSET,
) -> Path:
    """Export a trained model; the file is kept only when it computes what the checkpoint computes.

    Args:
        run: output folder of ``kws train``.
        output: the file to write, an earlier one is replaced; None writes ``model.onnx`` into ``run``.
        chunk_ms: step of the device in milliseconds, a whole number of hops; None takes 80 ms, or what the
            encoder asks.
        opset: version of ONNX's operators, of :data:`OPSETS`; a later one needs a later onnxruntime.
    Returns:
        The file. Beside ``model.onnx`` lie its report, ``model.verify.json``, and ``model.json``, what other
        programs may know of it without opening it.
    Raises:
        CheckpointError, ConfigError: the folder is damaged, ``chunk_ms`` does not fit the encoder, or
            ``opset`` is out of range.
        ExportMismatch: the graph computes something else; nothing is written and an earlier file stays.
    """
    run = Path(run)
    model, point = load_model(run), load_operating_point(run)
    output = run / MODEL_FILE if output is None else Path(output)
    export_model(
        model,
        point,
        output,
        chunk_ms=chunk_ms,
        opset=opset,
        trained_from=training_hash(run),
        languages=languages_of(run),
    )
    return output


def training_hash(run: Path) -> str:
    """Return the hash that ``kws train`` gave to settings and sources, or else that of the settings alone."""
    stored = _provenance(run).get("config_hash")
    return str(stored) if stored else config_hash(read_yaml(run / CONFIG))


def languages_of(run: Path) -> list[str]:
    """Return the languages of the keywords of a run, none where it does not say."""
    return [str(language) for language in _provenance(run).get("languages", [])]


def _provenance(run: Path) -> dict[str, Any]:
    """Return where a run comes from, {} where it does not say."""
    path = run / PROVENANCE
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def export_model(
    model: WakeWordModel,
    point: OperatingPoint,
    output: Path,
    *,
    chunk_ms: float | None = None,
    opset: int = OPSET,
    trained_from: str = "",
    languages: Sequence[str] = (),
) -> Parity:
    """Export a model that is in memory; see :func:`export`.

    Args:
        model: in eval mode, on the processor.
        point: thresholds and the rest of the decision.
        output: the file to write.
        chunk_ms: see :func:`export`.
        opset: see :func:`export`.
        trained_from: hash of the configuration that it was trained with.
        languages: of the keywords.
    Returns:
        The comparison, which is also written beside the file.
    """
    if opset not in OPSETS:
        raise ConfigError(f"`opset`: got {opset}, allowed: {OPSETS[0]} to {OPSETS[-1]}")
    chunk_samples = _chunk_samples(model, chunk_ms)
    metadata = _metadata(model, point, chunk_samples, trained_from)
    if languages:
        metadata["languages"] = json.dumps(list(languages))
    with atomic_write(output) as temporary:
        graph = _trace(model, chunk_samples, opset)
        _finish(graph, metadata)
        onnx.save(graph, str(temporary))
        parity = compare(model, temporary)
        if not parity.ok:
            raise ExportMismatch(_mismatch(output, parity))
    write_json(
        report_path(output),
        {"file": output.name, "metadata": metadata, "torch": torch.__version__, **parity.to_dict()},
    )
    write_manifest(output)
    return parity


def report_path(output: Path) -> Path:
    """Return the path of the report beside an exported file."""
    return output.with_suffix(".verify.json")


def _chunk_samples(model: WakeWordModel, chunk_ms: float | None) -> int:
    """Return the step in samples, or raise naming the steps that the encoder allows."""
    info = model.encoder.info
    unit = info.chunk_samples or info.hop_samples
    if chunk_ms is None:
        wished = CHUNK_MS * SAMPLE_RATE // 1000
        return info.chunk_samples or max(wished // unit, 1) * unit
    samples = round(chunk_ms * SAMPLE_RATE / 1000)
    if samples < unit or samples % unit:
        raise ConfigError(
            f"chunk_ms: got {chunk_ms:g}, allowed for encoder {info.name!r}: "
            f"multiples of {1000 * unit / SAMPLE_RATE:g} ms"
        )
    return samples


def _metadata(
    model: WakeWordModel, point: OperatingPoint, chunk_samples: int, trained_from: str
) -> dict[str, str]:
    """Return what the file says about itself, all as text."""
    lacking = [keyword for keyword in model.keywords if keyword not in point.thresholds]
    if lacking:
        raise CheckpointError(
            f"operating_point.thresholds has none for {', '.join(lacking)}; train or calibrate again"
        )
    info = model.encoder.info
    return {
        "format_version": FORMAT_VERSION,
        "keywords": json.dumps(list(model.keywords), ensure_ascii=False),
        "sample_rate": str(SAMPLE_RATE),
        "chunk_samples": str(chunk_samples),
        "chunk_dynamic": "true" if _is_dynamic(model) else "false",
        "hop_samples": str(info.hop_samples),
        "lookahead_samples": str(info.lookahead_samples),
        "thresholds": json.dumps(
            {keyword: point.thresholds[keyword] for keyword in model.keywords}, ensure_ascii=False
        ),
        "false_accepts_per_hour": str(point.decision.false_accepts_per_hour),
        "floored": json.dumps([name for name in model.keywords if name in point.floored], ensure_ascii=False),
        "smoothing_frames": str(point.decision.smoothing_frames),
        "refractory_s": str(point.decision.refractory_s),
        "compete_s": str(point.decision.compete_s),
        "licence": info.license,
        "encoder": info.name,
        "config_hash": trained_from,
        "created_by": f"kws {__version__}",
    }


def _is_dynamic(model: WakeWordModel) -> bool:
    return model.encoder.info.chunk_samples == 0


def _trace(model: WakeWordModel, chunk_samples: int, opset: int) -> onnx.ModelProto:
    """Turn the model into a graph, symbolic in the number of streams and of hops where the encoder allows."""
    dynamic = _is_dynamic(model)
    streams = 2 if dynamic else 1  # an example of 1 would make the graph one of a single stream
    state = model.initial_state(streams)
    inputs: tuple[Tensor, ...] = (torch.zeros(streams, chunk_samples), *state)
    dynamic_shapes: tuple[object, ...] | None = None
    if dynamic:
        hops = torch.export.Dim("hops", min=1, max=MAX_HOPS)
        batch = torch.export.Dim(BATCH, min=1, max=MAX_STREAMS)
        axes = batch_axes(model)
        dynamic_shapes = ({0: batch, 1: model.hop_samples * hops}, tuple({axis: batch} for axis in axes))
    names = [f"state_{index}" for index in range(len(state))]
    with _quiet():
        program = torch.onnx.export(
            ExportGraph(model),
            inputs,
            dynamo=True,
            opset_version=opset,
            dynamic_shapes=dynamic_shapes,
            input_names=["waveform", *names],
            output_names=["scores", *(f"next_{name}" for name in names)],
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def batch_axes(model: WakeWordModel) -> list[int]:
    """Return the axis of each state tensor that counts the streams."""
    pairs = zip(model.initial_state(2), model.initial_state(3), strict=True)
    return [
        next(axis for axis, (two, three) in enumerate(zip(a.shape, b.shape, strict=True)) if two != three)
        for a, b in pairs
    ]


def _finish(graph: onnx.ModelProto, metadata: dict[str, str]) -> None:
    """Set the metadata and remove what tracing left, such as source paths of this machine."""
    simplify_shapes(graph)  # puts another body into the graph
    body = graph.graph
    _name_axes(body)
    for entry in (body, *body.node, *body.input, *body.output, *body.value_info, *body.initializer):
        entry.ClearField("metadata_props")
    for node in body.node:
        node.ClearField("doc_string")
    graph.producer_name, graph.producer_version = "kws", __version__
    del body.value_info[:]
    graph.ir_version = onnx.helper.find_min_ir_version_for(graph.opset_import)
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph)


def _name_axes(body: onnx.GraphProto) -> None:
    """Call lengths by what they are, where the exporter wrote how they are computed, such as ``640*hops``."""
    waveform = body.input[0].type.tensor_type.shape
    if waveform.dim[1].dim_param:
        waveform.dim[1].dim_param = "samples"
    for output in body.output:
        for axis, size in enumerate(output.type.tensor_type.shape.dim):
            if size.dim_param and size.dim_param != BATCH:
                size.dim_param = "frames" if output.name == "scores" and axis == 1 else BATCH


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the progress and the notes of the exporter about packages that are not used here."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _mismatch(output: Path, parity: Parity) -> str:
    worst = parity.worst()
    same = "the same" if worst.identical_detections else "other"
    return (
        f"{output}: not written, the graph differs from the checkpoint: on {worst.signal!r} "
        f"({worst.chunking}) scores by {worst.max_score_difference:.2g} (allowed {SCORE_TOLERANCE:g}), "
        f"state by {worst.max_state_difference:.2g} (allowed {STATE_TOLERANCE:g}), {same} detections; export "
        'with the versions of torch and onnxscript that `pip install "kws[train]"` brings, and report it '
        "if it stays"
    )
