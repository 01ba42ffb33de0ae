"""The contract of a regulariser: a term beside the keyword loss, from the step that was just made."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from kws.model import WakeWordModel
from kws.structs import Batch


class Step(NamedTuple):
    """One forward pass of training, as a regulariser sees it.

    Attributes:
        batch: what was heard.
        features: (batch, time, feature) output of the encoder.
        frames: (batch,) int64, valid frames per row.
        logits: (batch, time, keyword) output of the head.
        progress: share of the training that is done, 0 to 1.
    """

    batch: Batch
    features: Tensor
    frames: Tensor
    logits: Tensor
    progress: float


class Regularizer(nn.Module):
    """A term that is added to the keyword loss with a weight.

    Made from the model before training, when the borrowed layers still are those of the source. Its own
    parameters, such as those of a domain classifier, are trained beside the head; they are not saved with it.

    Attributes:
        needs_transcripts: True when it learns from ``step.batch.transcribed``, which is None otherwise.

    Args:
        model: the model that will be trained; what of the source is needed is copied here.
    """

    needs_transcripts: ClassVar[bool] = False

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__()

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """Return the term, a scalar, before its weight.

        Args:
            model: the model as it is now.
            step: the forward pass whose loss is being computed.
        """
        raise NotImplementedError
