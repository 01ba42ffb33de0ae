"""A graph for one chunk: the same numbers from fewer nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from export.fixed import fix_chunk
from tests.export.conftest import Exported
from tests.tolerances import ONNX


def test_a_graph_of_one_chunk_gives_the_same_scores_and_states(exported: Exported):
    model = onnx.load(str(exported("conv")))
    fixed = fix_chunk(model, 1280)
    sessions = [onnxruntime.InferenceSession(entry.SerializeToString()) for entry in (model, fixed)]
    generator = np.random.default_rng(0)
    values = {
        node.name: generator.normal(0, 0.3, node.shape).astype(np.float32)
        for node in sessions[1].get_inputs()
    }
    assert values["waveform"].shape == (1, 1280)
    names = [output.name for output in sessions[0].get_outputs()]
    for wanted, got in zip(*(session.run(names, values) for session in sessions), strict=True):
        np.testing.assert_allclose(got, wanted, atol=ONNX, rtol=0)


def test_it_has_no_windows_to_gather_and_no_lengths_to_work_out(exported: Exported):
    model = onnx.load(str(exported("conv")))
    before, after = ([node.op_type for node in entry.graph.node] for entry in (model, fix_chunk(model, 1280)))
    depthwise = before.count("ReduceSum")
    assert depthwise > 0 and before.count("Range") == before.count("Shape") == 1
    assert after.count("Range") == after.count("Shape") == 0
    assert after.count("Gather") == before.count("Gather") - depthwise
    assert after.count("Add") <= before.count("Add") - depthwise
