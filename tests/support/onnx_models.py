"""A real exported file made in the test: a detector of pure tones, with state, in the format of `kws export`.

Per keyword and frame it correlates the last two hops of audio with a sine and a cosine, averages the
amplitude with that of the frame before, and passes it through a sigmoid. Both the audio context and the
last amplitude are state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RATE_HZ = 16_000
HOP_SAMPLES = 640
CHUNK_SAMPLES = 1280
CONTEXT_SAMPLES = 640


def tone(frequency_hz: float, length_s: float, amplitude: float = 0.5, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Return (samples,) float32 of a sine."""
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def silence(length_s: float) -> np.ndarray:
    """Return (samples,) float32 of zeros."""
    return np.zeros(round(length_s * RATE_HZ), np.float32)


def write_tone_model(
    path: Path,
    tones_hz: Mapping[str, float] | None = None,
    *,
    chunk_dynamic: bool = True,
    threshold: float = 0.5,
    smoothing_frames: int = 1,
    refractory_s: float = 1.0,
    metadata: Mapping[str, str | None] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Path:
    """Write a detector of tones: a tone of amplitude 0.2 or more scores above 0.99, silence below 0.01.

    Args:
        path: the file to write.
        tones_hz: keyword -> frequency, each a multiple of 25 Hz.
        chunk_dynamic: any number of hops per run, or ``CHUNK_SAMPLES`` only.
        threshold: of every keyword.
        smoothing_frames: for the decision.
        refractory_s: for the decision.
        metadata: entries that replace those of a correct file; None removes the entry.
        rename: new names of inputs and outputs, to break the format.
    """
    tones_hz = tones_hz or {"tone": 1000.0}
    count = len(tones_hz)
    time_s = np.arange(CONTEXT_SAMPLES + HOP_SAMPLES) / RATE_HZ
    waves = [wave(2 * np.pi * hz * time_s) for hz in tones_hz.values() for wave in (np.sin, np.cos)]
    kernel = np.stack(waves)[:, None, :] * 2 / len(time_s)  # (2 * keyword, 1, samples)
    pairs = np.kron(np.eye(count), [[1.0, 1.0]])[:, :, None]  # (keyword, 2 * keyword, 1): sine² + cosine²
    constants = {
        "kernel": kernel.astype(np.float32),
        "pairs": pairs.astype(np.float32),
        "half": np.full((count, 1, 2), 0.5, np.float32),
        "floor": np.float32(0.1),
        "steepness": np.float32(60.0),
        "channel_axis": np.array([1], np.int64),
        "last_axis": np.array([-1], np.int64),
        "context_start": np.array([-CONTEXT_SAMPLES], np.int64),
        "frame_start": np.array([-1], np.int64),
        "end": np.array([2**62], np.int64),
    }
    nodes = [
        helper.make_node("Concat", ["state_0", "waveform"], ["heard"], axis=1),
        helper.make_node("Slice", ["heard", "context_start", "end", "last_axis"], ["next_state_0"]),
        helper.make_node("Unsqueeze", ["heard", "channel_axis"], ["heard_channel"]),
        helper.make_node("Conv", ["heard_channel", "kernel"], ["parts"], strides=[HOP_SAMPLES]),
        helper.make_node("Mul", ["parts", "parts"], ["powers"]),
        helper.make_node("Conv", ["powers", "pairs"], ["power"]),
        helper.make_node("Sqrt", ["power"], ["amplitude"]),  # (1, keyword, frames)
        helper.make_node("Concat", ["state_1", "amplitude"], ["with_last"], axis=2),
        helper.make_node("Slice", ["with_last", "frame_start", "end", "last_axis"], ["next_state_1"]),
        helper.make_node("Conv", ["with_last", "half"], ["mean"], group=count),
        helper.make_node("Sub", ["mean", "floor"], ["above_floor"]),
        helper.make_node("Mul", ["above_floor", "steepness"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores_by_keyword"]),
        helper.make_node("Transpose", ["scores_by_keyword"], ["scores"], perm=[0, 2, 1]),
    ]
    samples = "samples" if chunk_dynamic else CHUNK_SAMPLES
    frames = "frames" if chunk_dynamic else CHUNK_SAMPLES // HOP_SAMPLES
    shapes: dict[str, list[str | int]] = {
        "waveform": [1, samples],
        "state_0": [1, CONTEXT_SAMPLES],
        "state_1": [1, count, 1],
        "scores": [1, frames, count],
        "next_state_0": [1, CONTEXT_SAMPLES],
        "next_state_1": [1, count, 1],
    }
    names = {name: (rename or {}).get(name, name) for name in shapes}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    infos = [
        helper.make_tensor_value_info(names[name], TensorProto.FLOAT, shape) for name, shape in shapes.items()
    ]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tones", infos[:3], infos[3:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entries: dict[str, str | None] = {
        "format_version": "1",
        "keywords": json.dumps(list(tones_hz)),
        "sample_rate": str(RATE_HZ),
        "chunk_samples": str(CHUNK_SAMPLES),
        "chunk_dynamic": "true" if chunk_dynamic else "false",
        "hop_samples": str(HOP_SAMPLES),
        "lookahead_samples": "0",
        "thresholds": json.dumps(dict.fromkeys(tones_hz, threshold)),
        "false_accepts_per_hour": "0.5",
        "smoothing_frames": str(smoothing_frames),
        "refractory_s": str(refractory_s),
        "licence": "CC0-1.0",
        "encoder": "tones",
        "config_hash": "000000000000",
        "created_by": "tests",
    }
    entries.update(metadata or {})
    helper.set_model_props(model, {key: value for key, value in entries.items() if value is not None})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
