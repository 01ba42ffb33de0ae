"""The cheaper forms of modules that the exported graph uses: the same numbers from the same weights."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from export.graph import ExportGraph, WindowConv
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
