"""Maximum mean discrepancy: features of synthetic and of real voices are to be spread alike."""

from __future__ import annotations

import torch
from torch import Tensor

from kws.model import WakeWordModel
from kws.regularizers.base import Regularizer, Step, need_moving
from kws.regularizers.domains import frames_of_domains

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the Gaussian kernels, as multiples of the mean squared distance between two frames."""


def multi_kernel_mmd(source: Tensor, target: Tensor) -> Tensor:
    """Return the squared maximum mean discrepancy of two samples, as the mean over kernels of several widths.

    0 for equal samples, at most 2. The estimate that is never negative: each frame is also compared with
    itself.
    Source: Gretton et al., JMLR 13, 2012, equation 5; several kernels, Long et al. (DAN), arXiv:1502.02791.

    Args:
        source: (frames, feature), at least one frame.
        target: (frames, feature), at least one frame.
    """
    joined = torch.cat([source, target])
    squares = joined.square().sum(dim=1)
    distances = (squares[:, None] + squares[None] - 2 * joined @ joined.T).clamp_min(0)
    # of frames to others, not to themselves; a constant of the kernels, so that stretching all gains nothing
    width = (distances.sum() / max(1, len(joined) * (len(joined) - 1))).detach()
    width = width.clamp_min(torch.finfo(width.dtype).tiny)
    alike = torch.stack([torch.exp(-distances / (share * width)) for share in WIDTHS]).mean(dim=0)
    n = len(source)
    return alike[:n, :n].mean() + alike[n:, n:].mean() - 2 * alike[:n, n:].mean()


class MMD(Regularizer):
    """Squared distance of the mean embeddings of two domains' frames, with Gaussian kernels of five widths.

    The domains are those of :class:`kws.regularizers.dann.DANN`; see :func:`multi_kernel_mmd`.

    Raises:
        ConfigError: nothing of the encoder moves.
    """

    needs_domains = True

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__(model)
        need_moving(model, "mmd")

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """See :meth:`Regularizer.forward`."""
        source, target = frames_of_domains(model, step)
        if not (len(source) and len(target)):
            return step.logits.new_zeros(())
        return multi_kernel_mmd(source, target)
