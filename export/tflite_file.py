"""Writes a TensorFlow Lite file, operator by operator; used by :mod:`export.microwakeword`.

The tables of the format come from the package tflite, the bytes from flatbuffers; TensorFlow is not needed.
Only what a streaming int8 model holds is here: constants, activations, resource variables and operators.

Source: github.com/tensorflow/tensorflow, ``tensorflow/lite/schema/schema.fbs``, version 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from kws.errors import DependencyError

SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"

ALIGNMENT = 16
"""Bytes at whose multiples constants begin, as the schema asks."""

Options = tuple[str, dict[str, int]]
"""Name of an operator's table of options, and its fields."""


@dataclass(frozen=True, slots=True)
class TfliteTensor:
    """One tensor of a graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """``INT8``, ``UINT8``, ``INT32`` or ``RESOURCE``."""
    data: bytes = b""
    """Of a constant; empty for what the graph computes."""
    scales: tuple[float, ...] = ()
    zero: int = 0
    axis: int = 0
    """A value is ``scales[i] * (integer - zero)``, i along this axis where there are several."""


@dataclass(frozen=True, slots=True)
class TfliteOperator:
    """One operator of a graph; inputs and outputs are indices of tensors."""

    name: str
    """As in the schema, such as ``CONV_2D``."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options | None = None
    text: tuple[str, str] | None = None
    """A field of the options that is text, and its value."""
    version: int = 1


@dataclass
class TfliteGraph:
    """Tensors and operators in the order in which they run."""

    name: str
    tensors: list[TfliteTensor] = field(default_factory=list)
    operators: list[TfliteOperator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "INT8",
        scales: Sequence[float] = (),
        zero: int = 0,
        axis: int = 0,
    ) -> int:
        """Add a tensor that the graph computes, and return its index."""
        shown = TfliteTensor(name, tuple(shape), dtype, b"", tuple(scales), zero, axis)
        self.tensors.append(shown)
        return len(self.tensors) - 1

    def constant(
        self, name: str, values: np.ndarray, scales: Sequence[float] = (), zero: int = 0, axis: int = 0
    ) -> int:
        """Add a constant int8 or int32 tensor, and return its index."""
        dtype = {"int8": "INT8", "int32": "INT32"}[values.dtype.name]
        data = values.astype(values.dtype.newbyteorder("<")).tobytes()
        self.tensors.append(TfliteTensor(name, values.shape, dtype, data, tuple(scales), zero, axis))
        return len(self.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Options | None = None,
        text: tuple[str, str] | None = None,
        version: int = 1,
    ) -> None:
        """Add an operator."""
        self.operators.append(TfliteOperator(name, tuple(inputs), tuple(outputs), options, text, version))


def serialize(graphs: Sequence[TfliteGraph], description: str) -> bytes:
    """Return the bytes of a file.

    Args:
        graphs: the first one is run; the others are called by it.
        description: text that the file holds.
    Raises:
        DependencyError: the packages tflite and flatbuffers are not installed.
    """
    return _Writer().file(graphs, description)


def schema() -> ModuleType:
    """Return the package tflite, whose classes read every table of a file.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import tflite
    except ImportError as error:
        raise DependencyError('a .tflite file needs the package tflite: `pip install "kws[esp]"`') from error
    module: ModuleType = tflite
    return module


class _Writer:
    """Builds one file; flatbuffers are written from the leaves to the root."""

    def __init__(self) -> None:
        self._schema = schema()
        import flatbuffers

        self._builder = flatbuffers.Builder(1 << 16)
        self._buffers: list[bytes] = [b""]  # the first one is empty, by rule
        self._codes: list[tuple[str, int]] = []

    def file(self, graphs: Sequence[TfliteGraph], description: str) -> bytes:
        """Return the bytes of a file."""
        subgraphs = self._offsets([self._graph(graph) for graph in graphs])
        buffers = self._offsets([self._buffer(data) for data in self._buffers])
        codes = self._offsets([self._code(name, version) for name, version in self._codes])
        text = self._builder.CreateString(description)
        model = self._table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=codes,
            Subgraphs=subgraphs,
            Description=text,
            Buffers=buffers,
        )
        self._builder.Finish(model, file_identifier=IDENTIFIER)
        return bytes(self._builder.Output())

    def _graph(self, graph: TfliteGraph) -> int:
        tensors = self._offsets([self._tensor(tensor) for tensor in graph.tensors])
        operators = self._offsets([self._operator(operator) for operator in graph.operators])
        name = self._builder.CreateString(graph.name)
        return self._table(
            "SubGraph",
            Tensors=tensors,
            Inputs=self._vector(graph.inputs, np.int32),
            Outputs=self._vector(graph.outputs, np.int32),
            Operators=operators,
            Name=name,
        )

    def _tensor(self, tensor: TfliteTensor) -> int:
        quantization = self._quantization(tensor) if tensor.scales else None
        name = self._builder.CreateString(tensor.name)
        return self._table(
            "Tensor",
            Shape=self._vector(tensor.shape, np.int32),
            Type=getattr(self._schema.TensorType, tensor.dtype),
            Buffer=self._index(tensor.data),
            Name=name,
            Quantization=quantization,
            HasRank=tensor.dtype != "RESOURCE",
        )

    def _quantization(self, tensor: TfliteTensor) -> int:
        return self._table(
            "QuantizationParameters",
            Scale=self._vector(tensor.scales, np.float32),
            ZeroPoint=self._vector([tensor.zero] * len(tensor.scales), np.int64),
            QuantizedDimension=tensor.axis,
        )

    def _operator(self, operator: TfliteOperator) -> int:
        options = None
        if operator.options is not None:
            table, fields = operator.options
            texts = {}
            if operator.text is not None:
                texts = {operator.text[0]: self._builder.CreateString(operator.text[1])}
            options = self._table(table, **fields, **texts)
        code = (operator.name, operator.version)
        if code not in self._codes:
            self._codes.append(code)
        return self._table(
            "Operator",
            OpcodeIndex=self._codes.index(code),
            Inputs=self._vector(operator.inputs, np.int32),
            Outputs=self._vector(operator.outputs, np.int32),
            BuiltinOptionsType=getattr(self._schema.BuiltinOptions, operator.options[0])
            if operator.options
            else None,
            BuiltinOptions=options,
        )

    def _code(self, name: str, version: int) -> int:
        builtin = getattr(self._schema.BuiltinOperator, name)
        old = min(builtin, self._schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
        return self._table("OperatorCode", DeprecatedBuiltinCode=old, Version=version, BuiltinCode=builtin)

    def _index(self, data: bytes) -> int:
        """Return the index of a buffer; equal constants share one."""
        if data and data in self._buffers:
            return self._buffers.index(data)
        if not data:
            return 0
        self._buffers.append(data)
        return len(self._buffers) - 1

    def _buffer(self, data: bytes) -> int:
        """Write one buffer, its data at a multiple of ``ALIGNMENT``."""
        vector = None
        if data:
            self._builder.StartVector(1, len(data), ALIGNMENT)
            for value in reversed(data):
                self._builder.PrependByte(value)
            vector = self._builder.EndVector()
        return self._table("Buffer", Data=vector)

    def _table(self, name: str, **fields: Any) -> int:
        """Write a table; a field of None is left out."""
        functions: Callable[[str], Any] = lambda verb: getattr(self._schema, f"{name}{verb}")  # noqa: E731
        functions("Start")(self._builder)
        for key, value in fields.items():
            if value is not None:
                functions(f"Add{key}")(self._builder, value)
        offset: int = functions("End")(self._builder)
        return offset

    def _vector(self, values: Sequence[float], dtype: type) -> int | None:
        """Write numbers; none at all are left out."""
        if not values:
            return None
        offset: int = self._builder.CreateNumpyVector(np.asarray(values, dtype))
        return offset

    def _offsets(self, offsets: Sequence[int]) -> int:
        """Write a vector of tables."""
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        end: int = self._builder.EndVector()
        return end
