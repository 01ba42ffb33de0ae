"""What a .tflite file asks of a microcontroller: operators, forms, multiply-adds and memory.

Read from the bytes of the file alone, so that it holds for what others have made as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from export.tflite_file import schema
from kws.errors import CheckpointError
from kws.student.quantized import QuantizedLayer, QuantizedStudent

TENSOR_BYTES = 24
"""TensorFlow Lite Micro keeps so much of each tensor (``TfLiteEvalTensor``)."""

OPERATOR_BYTES = 64 + 40
"""And of each operator: a ``NodeAndRegistration``, and what its kernel has computed beforehand."""

CHANNEL_BYTES = 8
"""And of each output of a convolution: multiplier and shift."""

ARENA_MARGIN = 1.35
"""For alignment, and scratch memory of the chip's kernels: with it, the size is at least what the manifests
of alexa, hey_jarvis and hey_mycroft say of those models."""

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True, slots=True)
class TfliteFacts:
    """What is known of a file."""

    num_bytes: int
    """Of the file."""
    operators: frozenset[str]
    """Kinds of operators, of all graphs."""
    input_shape: tuple[int, ...]
    input_type: str
    output_shape: tuple[int, ...]
    output_type: str
    """Of the first input and output; types as the schema names them, such as ``INT8``."""
    variables: int
    """Resource variables."""
    multiply_adds: int
    """Of one run."""
    arena_bytes: int
    """Size of the tensor arena: a bound by the sizes above, not a measurement."""


def read_facts(data: bytes) -> TfliteFacts:
    """Read a file.

    Raises:
        CheckpointError: it is no .tflite file.
        DependencyError: the package tflite is not installed.
    """
    tflite = schema()
    if not tflite.Model.ModelBufferHasIdentifier(data, 0):
        raise CheckpointError("no .tflite file: it does not begin as one")
    model = tflite.Model.GetRootAsModel(data, 0)
    graphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
    main = graphs[0]
    operators = [(_name(tflite, model, each), each) for graph in graphs for each in _operators(graph)]
    run = [(_name(tflite, model, each), each) for each in _operators(main)]
    convolved = [each for name, each in run if name in CONVOLUTIONS]
    given, made = main.Tensors(main.Inputs(0)), main.Tensors(main.Outputs(0))
    return TfliteFacts(
        num_bytes=len(data),
        operators=frozenset(name for name, _ in operators),
        input_shape=_shape(given),
        input_type=_type(tflite, given),
        output_shape=_shape(made),
        output_type=_type(tflite, made),
        variables=sum(name == "VAR_HANDLE" for name, _ in run),
        multiply_adds=sum(prod(_shape(main.Tensors(each.Inputs(1)))) for each in convolved),
        arena_bytes=_arena(
            model, graphs, [each for name, each in run if name == "ASSIGN_VARIABLE"], convolved
        ),
    )


def read_student(data: bytes) -> QuantizedStudent:
    """Read the layers of a file that :func:`export.microwakeword.to_tflite` wrote.

    Raises:
        DependencyError: the package tflite is not installed.
    """
    tflite = schema()
    model = tflite.Model.GetRootAsModel(data, 0)
    main = model.Subgraphs(0)
    layers: list[QuantizedLayer] = []
    for operator in _operators(main):
        name = _name(tflite, model, operator)
        if name not in CONVOLUTIONS:
            continue
        given, weight, bias = (main.Tensors(operator.Inputs(index)) for index in range(3))
        made = main.Tensors(operator.Outputs(0)).Quantization()
        values = model.Buffers(weight.Buffer()).DataAsNumpy().view(np.int8).reshape(_shape(weight))
        if name == "DEPTHWISE_CONV_2D":
            kernels = values[0].transpose(2, 0, 1)  # (channel, kernel, 1)
        elif name == "CONV_2D":
            kernels = values[:, :, 0]  # (output, kernel, input)
        else:  # the last layer, which sees the last steps side by side
            kernels = values.reshape(1, -1, layers[-1].weight.shape[0])
        first = name == "CONV_2D" and not layers
        layers.append(
            QuantizedLayer(
                weight=kernels,
                scales=weight.Quantization().ScaleAsNumpy(),
                bias=model.Buffers(bias.Buffer()).DataAsNumpy().view("<i4"),
                depthwise=name == "DEPTHWISE_CONV_2D",
                stride=_shape(main.Tensors(main.Inputs(0)))[1] if first else 1,
                input_scale=float(given.Quantization().Scale(0)),
                input_zero=int(given.Quantization().ZeroPoint(0)),
                output_scale=float(made.Scale(0)),
                output_zero=int(made.ZeroPoint(0)),
            )
        )
    return QuantizedStudent(tuple(layers))


def _arena(model: Any, graphs: list[Any], assigned: list[Any], convolved: list[Any]) -> int:
    """Return a bound of the tensor arena, in bytes."""
    main = graphs[0]
    num_tensors = sum(graph.TensorsLength() for graph in graphs)
    num_operators = sum(graph.OperatorsLength() for graph in graphs)
    channels = sum(prod(_shape(main.Tensors(each.Inputs(2)))) for each in convolved)
    states = sum(prod(_shape(main.Tensors(each.Inputs(1)))) for each in assigned)
    computed = [
        prod(_shape(main.Tensors(index)))
        for index in range(main.TensorsLength())
        if model.Buffers(main.Tensors(index).Buffer()).DataLength() == 0
    ]
    alive = 2 * max(computed)
    fixed = TENSOR_BYTES * num_tensors + OPERATOR_BYTES * num_operators + CHANNEL_BYTES * channels
    return int(ARENA_MARGIN * (fixed + states + alive))


def _operators(graph: Any) -> list[Any]:
    return [graph.Operators(index) for index in range(graph.OperatorsLength())]


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.Shape(index) for index in range(tensor.ShapeLength()))


def _type(tflite: Any, tensor: Any) -> str:
    return str(next(name for name, value in vars(tflite.TensorType).items() if value == tensor.Type()))


def _name(tflite: Any, model: Any, operator: Any) -> str:
    """Return the name of an operator in the schema; old files keep its number in another field."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return str(next(name for name, value in vars(tflite.BuiltinOperator).items() if value == number))
