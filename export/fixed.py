"""An exported graph for one stream and one chunk: fewer nodes, the same numbers.

The int8 form runs in chunks of one length, so what a graph of any length must work out in each run is known
beforehand. :func:`fix_chunk` is used by :mod:`export.quantize`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper
from onnxscript import optimizer


def fix_chunk(model: onnx.ModelProto, chunk_samples: int) -> onnx.ModelProto:
    """Return the graph for runs of one length.

    Args:
        model: as exported, in float32; it is not changed.
        chunk_samples: length of every run.
    Returns:
        A graph of the same inputs and outputs, whose depthwise convolutions need no windows: all frames of a
        chunk are multiplied by weights that are zero outside the window, and the bias is a weight of ones.
    """
    fixed = of_one_length(model, chunk_samples)
    fixed = optimizer.optimize(fixed)
    fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    editor = _Editor(fixed.graph)
    for node in list(fixed.graph.node):
        convolution = editor.depthwise(node)
        if convolution is not None:
            editor.flatten(convolution)
    optimizer.remove_unused_nodes(fixed)
    del fixed.graph.value_info[:]
    return fixed


def of_one_length(model: onnx.ModelProto, chunk_samples: int) -> onnx.ModelProto:
    """Return a copy for one stream and runs of one length, with all shapes that follow from it."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for entry in fixed.graph.input:
        for axis, size in enumerate(entry.type.tensor_type.shape.dim):
            if size.dim_param:
                size.dim_value = chunk_samples if entry.name == "waveform" and axis == 1 else 1
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)


@dataclass(frozen=True)
class _Depthwise:
    """The nodes of a depthwise convolution over windows, and what they hold."""

    join: onnx.NodeProto
    """Concat of the state (1, history, feature) and the frames."""
    gather: onnx.NodeProto
    multiply: onnx.NodeProto
    add_up: onnx.NodeProto
    add_bias: onnx.NodeProto
    frames: np.ndarray
    """(time, kernel), which frames of the join each window holds."""
    weight: np.ndarray
    """(kernel, feature)."""
    bias: np.ndarray
    """(feature,)."""


class _Editor:
    """Finds and replaces nodes of one graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                value = next((item.t for item in node.attribute if item.name == "value"), None)
                if value is not None:
                    self.constants[node.output[0]] = numpy_helper.to_array(value)
        self.makers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.readers[name].append(node)
        entries = (*graph.input, *graph.value_info, *graph.output)
        self.shapes = {
            entry.name: [size.dim_value for size in entry.type.tensor_type.shape.dim] for entry in entries
        }

    def depthwise(self, gather: onnx.NodeProto) -> _Depthwise | None:
        """Return the convolution that begins with a node; None where it is another node."""
        join = self.makers.get(gather.input[0]) if gather.op_type == "Gather" else None
        frames = self.constants.get(gather.input[1]) if join is not None else None
        if join is None or frames is None or frames.ndim != 2 or join.op_type != "Concat":
            return None
        chain = [gather]
        for wanted in ("Mul", "ReduceSum", "Add"):
            readers = self.readers[chain[-1].output[0]]
            if len(readers) != 1 or readers[0].op_type != wanted:
                return None
            chain.append(readers[0])
        _, multiply, add_up, add_bias = chain
        weight, bias = self._constant_input(multiply), self._constant_input(add_bias)
        if weight is None or bias is None or weight.ndim != 2 or bias.ndim != 1:
            return None
        return _Depthwise(join, gather, multiply, add_up, add_bias, frames, weight, bias)

    def flatten(self, found: _Depthwise) -> None:
        """Multiply all joined frames by weights that are zero outside the window, with a frame of ones."""
        joined = found.join.output[0]
        length, features = self.shapes[joined][1:]
        time = len(found.frames)
        spread = np.zeros((time, length + 1, features), np.float32)
        for number, window in enumerate(found.frames):
            np.add.at(spread[number], window, found.weight)
            spread[number, length] = found.bias
        ones = self._store(f"{joined}_ones", np.ones((1, 1, features), np.float32))
        for node in self.readers[joined]:
            if node is not found.gather:
                self._count_from_the_start(node, length)
        found.join.input.append(ones)
        found.multiply.input[:] = [joined, self._store(f"{joined}_weights", spread)]
        found.add_up.input[1] = self._store("second_axis", np.array([1], np.int64))
        reader_of_sum = found.add_bias.output[0]
        for node in self.readers[reader_of_sum]:
            names = [found.add_up.output[0] if name == reader_of_sum else name for name in node.input]
            node.input[:] = names

    def _count_from_the_start(self, node: onnx.NodeProto, length: int) -> None:
        """Let a slice of the joined frames name the same frames when one more follows them."""
        assert node.op_type == "Slice", node.op_type
        for index in (1, 2):
            value = int(self.constants[node.input[index]].reshape(-1)[0])
            place = min(value + length if value < 0 else value, length)
            node.input[index] = self._store(f"place_{place}", np.array([place], np.int64))

    def _constant_input(self, node: onnx.NodeProto) -> np.ndarray | None:
        return next((self.constants[name] for name in node.input if name in self.constants), None)

    def _store(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = value
            self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name
