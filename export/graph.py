"""The keyword model as one function of tensors, in a form that costs little in onnxruntime.

Called by :mod:`export.to_onnx`. Some modules are swapped for others that compute the same numbers from the
same weights. :mod:`export.verify` compares every file with the model that was trained, so a swap cannot
change a result unseen.
"""

from __future__ import annotations

import copy

import numpy as np
import onnx
import torch
from onnxscript.optimizer import remove_unused_nodes
from torch import Tensor, nn

from kws.encoders.layers import CausalConv
from kws.model import WakeWordModel

OPSET = 18
"""Read by onnxruntime 1.14 and later; the first opset that torch's exporter writes for all that is here."""

BATCH = "batch"
"""Name of the axis that counts streams, in the inputs and outputs of a file."""


class ExportGraph(nn.Module):
    """Waveform and state in, scores and next state out.

    Args:
        model: the keyword model; it is copied, not changed.
    """

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        _swap(self.model)

    def forward(self, waveform: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """(1, samples) and the state to (1, frames, keywords) scores in [0, 1] and the next state."""
        logits, next_state = self.model.run(waveform, list(state))
        return torch.sigmoid(logits), *next_state


class WindowConv(nn.Module):
    """A causal convolution as windows of frames times its weights; takes and gives what ``CausalConv`` does.

    onnxruntime runs a one-dimensional convolution between two transposes, and a depthwise one as one small
    product per channel. At the two frames of an 80 ms chunk this form took 0.40 ms where that took 0.55 (the
    whole graph, six layers and the ``conv`` head); from about a second at a time on they cost the same.
    """

    def __init__(self, source: CausalConv) -> None:
        super().__init__()
        conv = source.conv
        self.history, self.in_features = source.history, source.in_features
        self.depthwise = conv.groups > 1
        weight = conv.weight  # (out, in / groups, kernel)
        kernel = weight.shape[2]
        by_window = (
            weight[:, 0].t() if self.depthwise else weight.permute(2, 1, 0).reshape(-1, weight.shape[0])
        )
        self.weight = nn.Parameter(by_window.contiguous())  # (kernel, feature), or (kernel * in, out)
        self.bias = conv.bias
        self.offsets: Tensor
        self.register_buffer("offsets", torch.arange(kernel) * conv.dilation[0], persistent=False)

    @staticmethod
    def fits(source: CausalConv) -> bool:
        """Return whether the convolution is dense or depthwise; others are left as they are."""
        conv = source.conv
        return (
            conv.groups in (1, conv.in_channels)
            and conv.groups in (1, conv.out_channels)
            and source.history > 0
        )

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time, in_features) to (batch, time, out_features)."""
        joined = torch.cat([state, features], dim=1)
        time = features.shape[1]
        frames = torch.arange(time, device=joined.device)[:, None] + self.offsets  # (time, kernel)
        windows = gather_windows(joined, frames)  # (batch, time, kernel, in_features)
        if self.depthwise:
            output = (windows * self.weight).sum(dim=2)
        else:
            output = windows.flatten(2) @ self.weight
        return output if self.bias is None else output + self.bias, joined[:, -self.history :]


def gather_windows(joined: Tensor, frames: Tensor) -> Tensor:
    """Return the frames (batch, time, kernel, feature) that each window (time, kernel) of indices names."""
    if not torch.compiler.is_exporting():
        return joined[:, frames]
    made: Tensor = torch.onnx.ops.symbolic(  # one node, where the export of torch's indexing has three
        "Gather",
        [joined, frames],
        {"axis": 1},
        dtype=joined.dtype,
        shape=[joined.shape[0], *frames.shape, joined.shape[2]],
        version=OPSET,
    )
    return made


class OnnxGru(nn.Module):
    """A GRU as the ONNX operator; ``torch.export`` would unroll it, which fixes the number of frames."""

    def __init__(self, source: nn.GRU) -> None:
        super().__init__()
        self.hidden = source.hidden_size
        # torch orders the gates reset, update, new; ONNX update, reset, new
        parts = {name: tensor.chunk(3) for name, tensor in source.named_parameters()}
        ordered = {name: torch.cat([update, reset, new]) for name, (reset, update, new) in parts.items()}
        self.weight_input = nn.Parameter(ordered["weight_ih_l0"][None])  # (1, 3 * hidden, in_features)
        self.weight_hidden = nn.Parameter(ordered["weight_hh_l0"][None])  # (1, 3 * hidden, hidden)
        self.bias = nn.Parameter(torch.cat([ordered["bias_ih_l0"], ordered["bias_hh_l0"]])[None])

    @staticmethod
    def fits(source: nn.GRU) -> bool:
        """Return whether the GRU is of the one form that heads use: one layer, one direction, batch first."""
        return source.num_layers == 1 and source.batch_first and source.bias and not source.bidirectional

    def forward(self, features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time, in_features), (1, batch, hidden) to (batch, time, hidden), (1, batch, hidden)."""
        batch, time = features.shape[:2]
        outputs, last = torch.onnx.ops.symbolic_multi_out(
            "GRU",
            [features.transpose(0, 1), self.weight_input, self.weight_hidden, self.bias, None, hidden],
            {"hidden_size": self.hidden, "linear_before_reset": 1},
            dtypes=[features.dtype, features.dtype],
            shapes=[[time, 1, batch, self.hidden], [1, batch, self.hidden]],
            version=OPSET,
        )
        return outputs[:, 0].transpose(0, 1), last


def simplify_shapes(model: onnx.ModelProto, waveform: str = "waveform") -> None:
    """Write the shapes of reshapes as constants, in place: 0 keeps the number of streams, -1 is the time.

    The exporter computes both anew from the input in each run, in some twenty nodes.

    Args:
        model: traced with a symbolic number of streams. Only what has them as its first axis is changed.
        waveform: the input of which the number of streams is taken.
    """
    graph = model.graph
    counted = {
        entry.name
        for entry in (*graph.input, *graph.value_info)
        if entry.type.tensor_type.shape.dim and entry.type.tensor_type.shape.dim[0].dim_param == BATCH
    }
    made = {output: node for node in graph.node for output in node.output}
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] in constants or node.input[0] not in counted:
            continue
        source = made.get(node.input[1])
        if source is None or source.op_type != "Concat":
            continue
        sizes: list[int] = []
        for name in source.input:
            if name in constants:
                sizes += constants[name].tolist()
            else:
                sizes.append(0 if not sizes and _counts_streams(made[name], waveform) else -1)
        if sizes[0] == 0 and sizes.count(-1) <= 1:
            name = f"{node.output[0]}_shape"
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes, np.int64), name))
            node.input[1] = name
            del node.attribute[:]  # `allowzero` would take 0 for an empty axis
    remove_unused_nodes(model)


def _counts_streams(node: onnx.NodeProto, waveform: str) -> bool:
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return node.op_type == "Shape" and node.input[0] == waveform and ends == {"start": 0, "end": 1}


def _swap(module: nn.Module) -> None:
    """Replace, in place and at any depth, what has a cheaper form."""
    for name, child in module.named_children():
        if isinstance(child, CausalConv) and WindowConv.fits(child):
            setattr(module, name, WindowConv(child))
        elif isinstance(child, nn.GRU) and OnnxGru.fits(child):
            setattr(module, name, OnnxGru(child))
        else:
            _swap(child)
