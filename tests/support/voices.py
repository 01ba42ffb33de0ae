"""Voices made in the test: files in Kokoro's format that hum, and a hub that serves them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


@dataclass
class Hub:
    """What a local server has, and how it behaves."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path -> content."""
    cut_after: int | None = None
    """Bytes after which an answer ends, as a connection that breaks."""
    ranges: bool = True
    """It goes on from a place when it is asked to."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of each request."""

    def sha256(self, path: str) -> str:
        """Return the checksum of a file."""
        return hashlib.sha256(self.files[path]).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """Give a hub that serves on this machine alone."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            hub.asked.append((self.path, asked))
            content = hub.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : None if hub.cut_after is None else start + hub.cut_after])

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
