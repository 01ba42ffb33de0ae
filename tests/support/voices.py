"""Voices made in the test: files in Kokoro's format that hum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from data_prep.synthesis import kokoro

SAMPLES_PER_SYMBOL = 1200
"""Of the model's 24 kHz, at speed 1."""


def write_kokoro(folder: Path, *, rename: dict[str, str] | None = None) -> Path:
    """Write both files of Kokoro into a folder of voices, and return that folder.

    The model hums for 50 ms a symbol; the mean of the style vector, which differs by voice, is its pitch.

    Args:
        folder: of voices.
        rename: new names of inputs, to break the format.
    """
    model, styles = folder / kokoro.MODEL, folder / kokoro.STYLES
    model.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_humming(rename or {}), model)
    with styles.open("wb") as file:
        tables = {
            name: np.full((4, 1, kokoro.STYLE), 0.03 + 0.001 * number, np.float32)
            for number, name in enumerate(kokoro.NAMES)
        }
        np.savez(file, **tables)
    return folder


def _humming(rename: dict[str, str]) -> onnx.ModelProto:
    """Return the graph: sin(pitch * time), as long as there are symbols between the two ends."""
    constants = {
        "one": np.int64(1), "zero": np.float32(0), "step": np.float32(1), "half": np.float32(0.5),
        "each": np.float32(SAMPLES_PER_SYMBOL), "flat": np.array([], np.int64), "ends": np.float32(2),
    }  # fmt: skip
    nodes = [
        ("Shape", ["tokens"], "shape", {}),
        ("Gather", ["shape", "one"], "count", {"axis": 0}),
        ("Cast", ["count"], "symbols", {"to": TensorProto.FLOAT}),
        ("Sub", ["symbols", "ends"], "inside", {}),
        ("Mul", ["inside", "each"], "length", {}),
        ("Reshape", ["speed", "flat"], "rate", {}),
        ("Div", ["length", "rate"], "end", {}),
        ("Range", ["zero", "end", "step"], "time", {}),
        ("ReduceMean", ["style"], "pitch", {"keepdims": 0}),
        ("Mul", ["time", "pitch"], "phase", {}),
        ("Sin", ["phase"], "wave", {}),
        ("Mul", ["wave", "half"], "audio", {}),
    ]
    renamed = [
        helper.make_node(kind, [rename.get(name, name) for name in given], [made], **options)
        for kind, given, made, options in nodes
    ]
    inputs = (
        ("tokens", TensorProto.INT64, [1, "sequence_length"]),
        ("style", TensorProto.FLOAT, [1, kokoro.STYLE]),
        ("speed", TensorProto.FLOAT, [1]),
    )
    graph = helper.make_graph(
        renamed,
        "humming",
        [helper.make_tensor_value_info(rename.get(name, name), kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["audio_length"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
