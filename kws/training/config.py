"""How a keyword model is trained, as YAML gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from kws.data import BatchConfig
from kws.decisions import DecisionSettings
from kws.errors import ConfigError
from kws.loss_weighting import build_loss_weighting
from kws.losses import build_loss
from kws.regularizers import check_weights
from kws.training.precision import Precision
from kws.transfer import AUTO, TransferConfig, check_policy, load_auto

FEWEST_EPOCHS, MOST_EPOCHS, RECORDINGS_PER_EPOCH = 4, 16, 50


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything about one training run but the model and the data."""

    RENAMED: ClassVar[Mapping[str, str]] = {
        "balance": "loss_weighting",
        "balance_options": "loss_weighting_options",
    }

    transfer: TransferConfig = field(default_factory=TransferConfig)
    """What may move."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """How windows are drawn."""
    augmentation: float = 1.0
    """Strength of the augmentation, 0 (none) to 1.4; see ``data_prep.augmentation.chain.default_chain``."""
    babble: float = 0.0
    """Share of the noises that is babble, 3 to 8 voices of the negatives at once; 0 mixes none."""
    loss: str = "max_pooling"
    """Detection loss: see :func:`kws.losses.available_losses`."""
    loss_options: dict[str, float] = field(default_factory=dict)
    """Its settings, such as ``{gamma: 2}`` of ``focal``."""
    regularizers: dict[str, float] = field(default_factory=dict)
    """Terms beside it and their weights, such as ``{l2_sp: 0.01}``: see :mod:`kws.regularizers`. Those that
    stay near the source (l2_sp, ewc, feature_matching, distillation) `kws train` leaves out from scratch.
    Where none are given, policy auto brings its own."""
    loss_weighting: str = "fixed"
    """How the terms are added: see :func:`kws.loss_weighting.available_loss_weightings`."""
    loss_weighting_options: dict[str, float] = field(default_factory=dict)
    """Its settings, such as ``{alpha: 1.5}`` of ``gradnorm``."""
    epochs: int | None = None
    """Epochs; after each, dev is read and hard negatives are mined. None is 4, with more than 200 recordings
    one for every 50 up to 16, and 16 from random weights."""
    steps_per_epoch: int = 40
    """Optimiser steps per epoch."""
    learning_rate: float = 2e-3
    """Peak AdamW rate of the head; borrowed layers take a share of it (transfer.encoder_rate)."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    warmup: float = 0.1
    """Share of all steps over which the rate rises; then it falls to zero on a cosine."""
    patience: int = 4
    """Epochs without a lower dev loss after which training stops (with held-out recordings only)."""
    mine_hours: float = 0.6
    """Hours of negative audio searched for hard windows after each epoch."""
    dev_hours: float = 0.3
    """Hours of dev negatives read after each epoch; all of them are read at the end, for the threshold."""
    dev_copies: int = 3
    """Augmented copies of them that are read as well, so many at most, fewer where they are many: a threshold
    chosen on recordings as they are kept to no rate."""
    decision: DecisionSettings = field(default_factory=lambda: DecisionSettings(smoothing_frames=2))
    """Smoothing, times, and the rate that the thresholds are chosen for."""
    num_workers: int = 1
    """Processes that make batches; 0 makes them in the training process."""
    precision: Precision = "bf16-mixed"
    """Lightning precision; ``bf16-mixed`` is ``32-true`` where a machine only emulates bfloat16."""
    seed: int = 0
    """Seed of head, draws and augmentation."""

    def __post_init__(self) -> None:
        check_policy(self.transfer.policy)
        build_loss(self.loss, self.loss_options)
        build_loss_weighting(self.loss_weighting, {}, self.loss_weighting_options)
        check_weights(self.regularizers)
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f"train.epochs: got {self.epochs}, allowed: above 0")
        for name in ("steps_per_epoch", "learning_rate", "dev_hours"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"train.{name}: got {getattr(self, name)}, allowed: above 0")
        for name in ("weight_decay", "patience", "mine_hours", "dev_copies", "num_workers"):
            if getattr(self, name) < 0:
                raise ConfigError(f"train.{name}: got {getattr(self, name)}, allowed: 0 or more")
        if not 0 <= self.augmentation <= 1.4:
            raise ConfigError(f"train.augmentation: got {self.augmentation}, allowed: 0 (none) to 1.4")
        if not 0 <= self.babble <= 1:
            raise ConfigError(f"train.babble: got {self.babble}, allowed: 0 (none) to 1")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"train.warmup: got {self.warmup}, allowed: 0 up to but not including 1")

    def resolved(self, num_recordings: int) -> tuple[TrainConfig, str]:
        """Return these settings with a policy for ``auto`` and numbers of epochs and windows, and why.

        Where none were asked for, ``auto`` also brings the regularisers of its policy.

        Args:
            num_recordings: distinct recordings of the keyword with the fewest.
        Raises:
            ConfigError: the table of ``auto`` cannot be read.
        """
        settings, reason = self, "asked for"
        if self.transfer.policy == AUTO:
            step, reason = load_auto(self.transfer.auto_table).choose(num_recordings)
            settings = replace(
                self,
                transfer=replace(self.transfer, policy=step.policy),
                regularizers=self.regularizers or step.regularizers,
            )
        positives, negatives = settings.batch.num_windows(num_recordings)
        batch = replace(settings.batch, num_positives=positives, num_negatives=negatives)
        return replace(settings, batch=batch, epochs=settings.num_epochs(num_recordings)), reason

    def num_epochs(self, num_recordings: int = 0) -> int:
        """Return the epochs: what was asked for, or what has missed least (docs/log).

        Args:
            num_recordings: distinct recordings of the keyword with the fewest.
        """
        if self.epochs is not None:
            return self.epochs
        if self.transfer.policy == "scratch":
            return MOST_EPOCHS
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(num_recordings / RECORDINGS_PER_EPOCH)))
