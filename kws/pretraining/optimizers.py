"""The optimiser of pretraining: Muon on the matrices of the layers, AdamW on everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


class Together(torch.optim.Optimizer):
    """Several optimisers that step as one: a loop, a schedule and a checkpoint see a single optimiser.

    Args:
        parts: optimisers of disjoint parameters.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        super().__init__([p for part in parts for group in part.param_groups for p in group["params"]], {})
        self._share()

    def _share(self) -> None:
        """Make groups and state those of the parts, so that a changed rate or a saved state is theirs."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]
        self.state.clear()
        for part in self.parts:
            self.state.update(part.state)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Step every part, after one call of ``closure``."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share()


def hidden_matrices(module: nn.Module) -> Iterator[Tensor]:
    """Yield the weights of the linear layers below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            yield layer.weight


def muon_and_adamw(
    module: nn.Module, hidden: nn.Module, *, matrix_rate: float, rate: float, weight_decay: float
) -> Together:
    """Return Muon for the linear layers of ``hidden`` and AdamW for the rest of ``module``.

    Muon moves a matrix by the orthogonal part of its momentum, which finds the first CTC alignments in a
    fraction of AdamW's steps. Source: Jordan, https://kellerjordan.github.io/posts/muon/; Liu et al.,
    arXiv:2502.16982.

    Args:
        module: everything that is trained.
        hidden: the part of it whose matrices lie between layers: no inputs or outputs of the whole.
        matrix_rate: peak rate of Muon.
        rate: peak rate of AdamW.
        weight_decay: of both; biases, norms and depthwise filters are not decayed.
    """
    matrices = list(hidden_matrices(hidden))
    taken = {id(matrix) for matrix in matrices}
    rest = [p for p in module.parameters() if id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim == 2], "weight_decay": weight_decay},
        {"params": [p for p in rest if p.ndim != 2], "weight_decay": 0.0},
    ]
    return Together(
        torch.optim.Muon(matrices, lr=matrix_rate, weight_decay=weight_decay),
        torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98)),
    )
