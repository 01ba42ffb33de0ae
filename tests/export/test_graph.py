"""The cheaper forms of modules that the exported graph uses: the same numbers from the same weights."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from torch.testing import assert_close

from export.graph import BATCH, ExportGraph, WindowConv, simplify_shapes
from kws.checkpoint import load_model
from kws.encoders.layers import CausalConv
from tests.export.conftest import Exported
from tests.tolerances import CPU_REFACTOR, STREAMING


@pytest.mark.parametrize(
    ("in_features", "out_features", "kernel", "dilation", "groups", "bias"),
    [(6, 6, 9, 1, 6, True), (6, 6, 3, 2, 6, False), (6, 4, 9, 2, 1, True), (1, 5, 2, 1, 1, False)],
)
@torch.no_grad()
def test_windows_of_frames_are_the_convolution(
    in_features: int, out_features: int, kernel: int, dilation: int, groups: int, bias: bool
):
    conv = CausalConv(in_features, out_features, kernel, dilation=dilation, groups=groups, bias=bias)
    assert WindowConv.fits(conv)
    windows = WindowConv(conv)
    state = other = torch.randn_like(conv.initial_state(2))
    for frames in (1, 2, 30):
        features = torch.randn(2, frames, in_features)
        wanted, state = conv(features, state)
        found, other = windows(features, other)
        assert_close(found, wanted, atol=STREAMING, rtol=0)
        assert_close(other, state, atol=CPU_REFACTOR, rtol=0)


def test_other_convolutions_are_left_as_they_are():
    assert not WindowConv.fits(CausalConv(6, 6, 3, groups=2))
    assert not WindowConv.fits(CausalConv(6, 12, 3, groups=6))
    assert not WindowConv.fits(CausalConv(6, 6, 1))


def test_the_model_that_is_exported_is_not_changed(exported: Exported):
    model = load_model(exported("conv").parent)
    kinds = [type(module) for module in model.modules()]
    graph = ExportGraph(model)
    assert [type(module) for module in model.modules()] == kinds
    assert any(isinstance(module, WindowConv) for module in graph.modules())
    assert not any(isinstance(module, CausalConv) for module in graph.modules())


@pytest.mark.parametrize("first", ["streams", "time"])
def test_only_a_reshape_of_streams_gets_a_constant_shape(first: str):
    """The shape asks for (streams, time, 2, 3) of a tensor whose first axis is the one or the other."""
    make = onnx.helper.make_node
    nodes = [
        make("Identity" if first == "streams" else "Transpose", ["waveform"], ["x"]),
        make("Shape", ["waveform"], ["streams"], start=0, end=1),
        make("Shape", ["waveform"], ["time"], start=1, end=2),
        make("Concat", ["streams", "time", "sizes"], ["shape"], axis=0),
        make("Reshape", ["x", "shape"], ["y"], allowzero=1),
    ]
    info = onnx.helper.make_tensor_value_info
    axes = [BATCH, "t"] if first == "streams" else ["t", BATCH]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [info("waveform", onnx.TensorProto.FLOAT, [BATCH, "t"])],
        [info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array([1, 1], np.int64), "sizes")],
        value_info=[info("x", onnx.TensorProto.FLOAT, axes)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    run = onnx.reference.ReferenceEvaluator
    (wanted,) = run(model).run(None, {"waveform": values})
    simplify_shapes(model)
    (found,) = run(model).run(None, {"waveform": values})
    np.testing.assert_array_equal(found, wanted)
    assert wanted.shape == (3, 4, 1, 1)
    assert ("Shape" in {node.op_type for node in model.graph.node}) == (first == "time")
