"""The contract of a regulariser: a term beside the keyword loss, from the step that was just made."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from kws.encoders.ctc import PhoneRecognizer
from kws.errors import ConfigError
from kws.model import WakeWordModel
from kws.structs import Batch


def valid_frames(features: Tensor, lengths: Tensor) -> Tensor:
    """Return (batch, time) bool, True for the first ``lengths`` (batch,) frames of (batch, time, feature)."""
    frames = torch.arange(features.shape[1], device=features.device)
    return frames < lengths.to(frames.device)[:, None]


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

    @property
    def valid(self) -> Tensor:
        """(batch, time) bool, True for frames that hold audio."""
        return valid_frames(self.features, self.frames)


class Resources(NamedTuple):
    """What a regulariser may take beside the model before training begins.

    Attributes:
        batch: makes the training batch of a step, the same whenever a run starts or goes on.
        recognizer: the source uncut, with its phone outputs; given where a term has ``needs_phones``.
    """

    batch: Callable[[int], Batch] | None = None
    recognizer: PhoneRecognizer | None = None


M = TypeVar("M", bound=nn.Module)


class Frozen(nn.Module, Generic[M]):
    """A copy of a module that training leaves as it is: always in eval mode, its weights without gradient.

    It is saved with the run, so that one that goes on knows its source.
    """

    module: M

    def __init__(self, module: M) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Frozen[M]:
        """Stay in eval mode."""
        super().train(False)
        return self


def need_moving(model: WakeWordModel, name: str) -> None:
    """Refuse a model of whose encoder nothing moves.

    Raises:
        ConfigError: no borrowed layer moves; it names the regulariser ``name``.
    """
    if not any(parameter.requires_grad for parameter in model.encoder.parameters()):
        raise ConfigError(
            f"train.regularizers.{name}: no borrowed layer moves, so it would change nothing; choose a "
            f"policy that moves some, such as `train.transfer.policy=late`, or leave `{name}` out"
        )


class Regularizer(nn.Module, ABC):
    """A term that is added to the keyword loss with a weight.

    Made from the model before training, when the borrowed layers still are those of the source. Its own
    parameters, such as those of a domain classifier, are trained beside the head; they are not saved with it.

    Args:
        model: the model that will be trained; what of the source is needed is copied here.
    """

    near_source: ClassVar[bool] = False
    """True: it holds the borrowed layers near the source, and means nothing where they start at random."""
    needs_phones: ClassVar[bool] = False
    """True: it needs :attr:`Resources.recogniser`."""
    needs_transcripts: ClassVar[bool] = False
    """True: it learns from ``step.batch.transcribed``, which is None otherwise."""
    needs_domains: ClassVar[bool] = False
    """True: it compares the two domains of ``step.batch.domains``, which is None otherwise."""

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__()

    def prepare(self, model: WakeWordModel, resources: Resources) -> None:
        """Take what else is needed; called once, when the model still is as :meth:`__init__` saw it.

        Args:
            model: the same as in :meth:`__init__`; not to be changed.
            resources: audio, and the source's phone outputs.
        Raises:
            ConfigError: something needed is lacking.
        """

    @abstractmethod
    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """Return the term, a scalar, before its weight.

        Args:
            model: the model as it is now.
            step: the forward pass whose loss is being computed.
        """
