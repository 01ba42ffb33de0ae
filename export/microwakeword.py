"""The int8 form of a student as a streaming .tflite file, for the firmware of microWakeWord.

A run of the graph takes ``STRIDE`` features and gives one probability; what a layer must remember is a
resource variable, which holds silence after loading. Operators, their versions and the forms of input and
output are those that ESPHome's component ``micro_wake_word`` registers and checks.

Source: github.com/kahrendt/microWakeWord, ``microwakeword/layers/stream.py`` and the ready models of
github.com/esphome/micro-wake-word-models.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from export.tflite_facts import TfliteFacts, read_facts
from export.tflite_file import Options, TfliteGraph, serialize
from kws.audio import SAMPLE_RATE, atomic_write
from kws.errors import ExportMismatch
from kws.micro_detector import STEP_MS, MicroManifest, chip_cutoff, open_runtime
from kws.student.features import FEATURE_SCALE, FEATURE_ZERO, NUM_CHANNELS, STEP_SAMPLES
from kws.student.network import STRIDE, WINDOW
from kws.student.quantized import PROBABILITY_STEPS, QuantizedLayer, QuantizedStudent

OPERATORS = frozenset(
    "CALL_ONCE VAR_HANDLE RESHAPE READ_VARIABLE STRIDED_SLICE CONCATENATION ASSIGN_VARIABLE CONV_2D MUL ADD "
    "MEAN FULLY_CONNECTED LOGISTIC QUANTIZE DEPTHWISE_CONV_2D AVERAGE_POOL_2D MAX_POOL_2D PAD PACK "
    "SPLIT_V".split()
)
"""All operators that the component registers (``streaming_model.cpp`` of ESPHome 2026.6)."""

MAX_VARIABLES = 20
"""Most resource variables that the component makes room for."""

MAX_BYTES, MAX_ARENA = 60_000, 30_000
"""Largest file and tensor arena, in bytes: those of the ready models, and a little more."""

MAX_DIFFERENCE = 2
"""Most by which a probability of the runtime may differ, in 256ths."""

MINIMUM_ESPHOME = "2024.7.0"
"""First version whose firmware runs models of this form."""

RELU = 1
VALID = 1
"""Numbers of the schema: ``ActivationFunctionType.RELU`` and ``Padding.VALID``."""


def to_tflite(student: QuantizedStudent, description: str) -> bytes:
    """Return the bytes of the .tflite file of a student.

    Args:
        student: its int8 form.
        description: text that the file holds.
    Raises:
        DependencyError: the packages tflite and flatbuffers are not installed.
    """
    main, start = TfliteGraph("main"), TfliteGraph("start")
    features = main.tensor("features", (1, STRIDE, NUM_CHANNELS), scales=[FEATURE_SCALE], zero=FEATURE_ZERO)
    main.inputs = [features]
    main.operator("CALL_ONCE", [], [], ("CallOnceOptions", {"InitSubgraphIndex": 1}))
    shape = (1, STRIDE, 1, NUM_CHANNELS)
    activation = main.tensor("steps", shape, scales=[FEATURE_SCALE], zero=FEATURE_ZERO)
    main.operator("RESHAPE", [features, _whole(main, "shape", shape)], [activation])
    for number, layer in enumerate(student.layers[:-1]):
        heard = _remember(main, start, layer, activation, f"state_{number}")
        activation = _convolve(main, layer, heard, f"layer_{number}", RELU if _cuts(number) else 0)
    last = student.layers[-1]
    heard = _remember(main, start, last, activation, f"state_{len(student.layers) - 1}")
    probability = _classify(main, last, heard)
    main.outputs = [probability]
    return serialize([main, start], description)


def _cuts(number: int) -> bool:
    """Return whether a layer ends in a ReLU: the first and every pointwise one."""
    return number % 2 == 0


def _remember(main: TfliteGraph, start: TfliteGraph, layer: QuantizedLayer, inputs: int, name: str) -> int:
    """Put what a layer remembers before its new inputs, and store the end of both for the next run."""
    before = layer.kernel - layer.stride
    if not before:
        return inputs
    scales, zero = [layer.input_scale], layer.input_zero
    steps, channels = main.tensors[inputs].shape[1], main.tensors[inputs].shape[3]
    silence = np.full((1, before, 1, channels), zero, np.int8)
    for graph in (main, start):
        handle = graph.tensor(name, (), "RESOURCE")
        options: Options = ("VarHandleOptions", {})
        graph.operator("VAR_HANDLE", [], [handle], options, text=("SharedName", name))
        if graph is start:
            constant = graph.constant(f"{name}_silence", silence, scales, zero)
            graph.operator("ASSIGN_VARIABLE", [handle, constant], [])
    handle = len(main.tensors) - 1
    old = main.tensor(f"{name}_old", silence.shape, scales=scales, zero=zero)
    both = main.tensor(f"{name}_both", (1, before + steps, 1, channels), scales=scales, zero=zero)
    new = main.tensor(f"{name}_new", silence.shape, scales=scales, zero=zero)
    main.operator("READ_VARIABLE", [handle], [old])
    main.operator("CONCATENATION", [old, inputs], [both], ("ConcatenationOptions", {"Axis": 1}), version=2)
    ends = [
        _whole(main, "begin", (0, steps, 0, 0)),
        _whole(main, "end", (0, before + steps, 0, 0)),
        _whole(main, "stride", (1, 1, 1, 1)),
    ]
    masks = {"BeginMask": 0b1101, "EndMask": 0b1111}
    main.operator("STRIDED_SLICE", [both, *ends], [new], ("StridedSliceOptions", masks), version=2)
    main.operator("ASSIGN_VARIABLE", [handle, new], [])
    return both


def _convolve(graph: TfliteGraph, layer: QuantizedLayer, inputs: int, name: str, activation: int) -> int:
    """Add a convolution, and return its output."""
    outputs = graph.tensor(
        name, (1, 1, 1, len(layer.bias)), scales=[layer.output_scale], zero=layer.output_zero
    )
    window = {"Padding": VALID, "StrideW": 1, "StrideH": 1, "FusedActivationFunction": activation}
    if layer.depthwise:
        kernels = layer.weight.transpose(2, 1, 0)[:, :, None]  # (1, kernel, 1, channel)
        operator, axis, version = "DEPTHWISE_CONV_2D", 3, 3
        options: Options = ("DepthwiseConv2DOptions", {**window, "DepthMultiplier": 1})
    else:
        kernels = layer.weight[:, :, None]  # (output, kernel, 1, input)
        operator, axis, version, options = "CONV_2D", 0, 3, ("Conv2DOptions", window)
    weight = graph.constant(f"{name}_weight", np.ascontiguousarray(kernels), layer.scales.tolist(), axis=axis)
    bias = graph.constant(f"{name}_bias", layer.bias)
    graph.operator(operator, [inputs, weight, bias], [outputs], options, version=version)
    return outputs


def _classify(graph: TfliteGraph, layer: QuantizedLayer, inputs: int) -> int:
    """Add the last layer and the logistic function, and return the probability in 256ths."""
    size = layer.weight[0].size
    flat = graph.tensor("flat", (1, size), scales=[layer.input_scale], zero=layer.input_zero)
    graph.operator("RESHAPE", [inputs, _whole(graph, "flat_shape", (1, size))], [flat])
    weight = graph.constant("dense_weight", layer.weight.reshape(1, size), layer.scales.tolist())
    bias = graph.constant("dense_bias", layer.bias)
    logit = graph.tensor("logit", (1, 1), scales=[layer.output_scale], zero=layer.output_zero)
    graph.operator("FULLY_CONNECTED", [flat, weight, bias], [logit], ("FullyConnectedOptions", {}), version=4)
    step = [1 / PROBABILITY_STEPS]
    probability = graph.tensor("probability_int8", (1, 1), scales=step, zero=-128)
    graph.operator("LOGISTIC", [logit], [probability], version=2)
    unsigned = graph.tensor("probability", (1, 1), "UINT8", scales=step)
    graph.operator("QUANTIZE", [probability], [unsigned], ("QuantizeOptions", {}))
    return unsigned


def _whole(graph: TfliteGraph, name: str, numbers: Sequence[int]) -> int:
    """Return the index of a constant of whole numbers; equal ones are written once."""
    values = np.asarray(numbers, np.int32)
    for index, tensor in enumerate(graph.tensors):
        if tensor.dtype == "INT32" and tensor.shape == values.shape and tensor.data == values.tobytes():
            return index
    return graph.constant(name, values)


@dataclass(frozen=True)
class MicroFiles:
    """The two files that a device takes.

    Attributes:
        model: the ``.tflite``.
        manifest: the ``.json`` beside it.
        facts: what the file asks of the chip.
        compared_s: seconds of audio on which the runtime was compared.
        max_difference: largest difference of a probability there, in 256ths.
    """

    model: Path
    manifest: Path
    facts: TfliteFacts
    compared_s: float
    max_difference: int


def export_student(
    student: QuantizedStudent,
    folder: Path,
    keyword: str,
    threshold: float,
    features: np.ndarray,
    languages: Sequence[str] = ("en",),
    author: str = "",
) -> MicroFiles:
    """Write the two files, once the runtime computes from the model what the student does.

    Args:
        student: its int8 form.
        folder: gets ``NAME.tflite`` and ``NAME.json``, named after the keyword.
        keyword: the phrase.
        threshold: least mean of the probabilities in the window for a detection, within [0, 1].
        features: (time, channels) int8 of real audio, on which both are compared.
        languages: of the keyword.
        author: named in the manifest.
    Raises:
        ExportMismatch: the runtime computes something else, or the file is too large for a device.
        DependencyError: the packages of the extra ``esp`` are not installed.
    """
    name = file_name(keyword)
    data = to_tflite(student, f"{keyword}: int8, streaming, by kws")
    facts = read_facts(data)
    check_limits(facts, keyword)
    model, manifest = folder / f"{name}.tflite", folder / f"{name}.json"
    with TemporaryDirectory() as place:
        trial = Path(place) / model.name
        trial.write_bytes(data)
        heard = runtime_probabilities(trial, features)
    apart = np.abs(heard.astype(int) - student.probabilities(features).astype(int))
    if apart.max(initial=0) > MAX_DIFFERENCE:
        raise ExportMismatch(
            f"{keyword}: TensorFlow Lite differs by {apart.max()} of 256 in a probability, allowed: "
            f"{MAX_DIFFERENCE}; nothing was written"
        )
    with atomic_write(model) as temporary:
        temporary.write_bytes(data)
    described = {
        "type": "micro",
        "wake_word": keyword,
        "author": author,
        "model": model.name,
        "trained_languages": list(languages),
        "version": 2,
        "micro": {
            "probability_cutoff": chip_cutoff(threshold, WINDOW),
            "feature_step_size": STEP_MS,
            "sliding_window_size": WINDOW,
            "tensor_arena_size": facts.arena_bytes,
            "minimum_esphome_version": MINIMUM_ESPHOME,
        },
    }
    with atomic_write(manifest) as temporary:
        temporary.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    compared_s = len(features) * STEP_SAMPLES / SAMPLE_RATE
    return MicroFiles(model, manifest, facts, compared_s, int(apart.max(initial=0)))


def runtime_probabilities(model: Path, features: np.ndarray) -> np.ndarray:
    """Return what TensorFlow Lite makes of features, by the package pymicro-wakeword.

    Args:
        model: the ``.tflite``.
        features: (time, channels) int8.
    Returns:
        (steps,) uint8, the probability of each step in 256ths.
    Raises:
        CheckpointError: it cannot run the model.
        DependencyError: the package is not installed.
    """
    _, interpreter = open_runtime(MicroManifest(model.with_suffix(".json"), model.stem, model, 0.5, 1))
    heard = np.zeros(len(features) // STRIDE, np.uint8)
    values = FEATURE_SCALE * (features.astype(np.float32) - FEATURE_ZERO)
    for step in range(len(heard) * STRIDE):
        probability = interpreter.process_streaming_prob(values[step][None])
        if step % STRIDE == STRIDE - 1:
            heard[step // STRIDE] = round(PROBABILITY_STEPS * probability)
    return heard


def check_limits(facts: TfliteFacts, keyword: str) -> None:
    """Raise where a device could not take a model.

    Raises:
        ExportMismatch: it is too large, or has what the firmware lacks.
    """
    reasons = [
        f"{facts.num_bytes} bytes, allowed: {MAX_BYTES}" * (facts.num_bytes > MAX_BYTES),
        f"an arena of {facts.arena_bytes} bytes, allowed: {MAX_ARENA}" * (facts.arena_bytes > MAX_ARENA),
        f"{facts.variables} variables, allowed: {MAX_VARIABLES}" * (facts.variables > MAX_VARIABLES),
        ", ".join(sorted(facts.operators - OPERATORS)) + " is no operator of the firmware"
        if facts.operators - OPERATORS
        else "",
    ]
    if any(reasons):
        raise ExportMismatch(
            f"{keyword}: the model does not fit a device: {'; '.join(filter(None, reasons))}"
        )


def file_name(keyword: str) -> str:
    """Return a name of ASCII letters, digits and ``_`` for the files of a keyword, as C++ takes it."""
    plain = unicodedata.normalize("NFKD", keyword).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if name:
        return name
    return "wake_" + hashlib.sha256(keyword.encode()).hexdigest()[:8]  # another script
