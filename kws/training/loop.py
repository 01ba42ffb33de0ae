"""Fine-tuning of a keyword model: schedule, step, evaluation, mining and saving.

Lightning runs the loop; losses, metrics, data and file formats live elsewhere. Called by
:mod:`kws.cli.train`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.utils.data import DataLoader

from kws.data import AudioStore, Augment, BatchConfig, KeywordBatches, Synthetic
from kws.errors import ConfigError
from kws.evaluation.thresholds import DevScores, choose_operating_point
from kws.losses import max_pooling_loss
from kws.model import WakeWordModel
from kws.structs import Batch
from kws.training.checkpoints import WholeCheckpoints, newest_checkpoint
from kws.training.logs import keep_earlier_log
from kws.training.scan import hard_windows, score_clips, score_stream
from kws.training.schedule import scheduled
from kws.transfer import TransferConfig, apply_policy

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything about one training run but the model and the data."""

    transfer: TransferConfig = field(default_factory=TransferConfig)
    """What may move."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """How windows are drawn."""
    epochs: int = 8
    """Rounds; after each, dev is read and hard negatives are mined."""
    steps_per_epoch: int = 40
    """Optimiser steps per round."""
    learning_rate: float = 2e-3
    """Peak AdamW rate of the head; borrowed layers take a share of it (transfer.encoder_rate)."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    warmup: float = 0.1
    """Share of all steps over which the rate rises; then it falls to zero on a cosine."""
    patience: int = 4
    """Rounds without a lower dev loss after which training stops (with held-out recordings only)."""
    mine_hours: float = 0.6
    """Hours of negative audio searched for hard windows after each round."""
    dev_hours: float = 0.3
    """Hours of dev negatives read after each round; all of them are read at the end, for the threshold."""
    false_accepts_per_hour: float = 0.5
    """Rate that the thresholds are chosen for."""
    smoothing_frames: int = 2
    """Frames that scores are averaged over before the threshold."""
    refractory_s: float = 1.0
    """Seconds after a detection in which the keyword cannot fire again."""
    num_workers: int = 1
    """Processes that make batches; 0 makes them in the training process."""
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    """Lightning precision; ``32-true`` where bfloat16 is slow."""
    seed: int = 0
    """Seed of head, draws and augmentation."""

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "steps_per_epoch",
            "learning_rate",
            "dev_hours",
            "false_accepts_per_hour",
            "smoothing_frames",
        ):
            if getattr(self, name) <= 0:
                raise ConfigError(f"train.{name}: got {getattr(self, name)}, allowed: above 0")
        for name in ("weight_decay", "patience", "mine_hours", "refractory_s", "num_workers"):
            if getattr(self, name) < 0:
                raise ConfigError(f"train.{name}: got {getattr(self, name)}, allowed: 0 or more")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"train.warmup: got {self.warmup}, allowed: 0 up to but not including 1")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Audio of one run.

    Attributes:
        positives, labels: training recordings and the keyword index of each.
        negatives: training speech and noise.
        dev_positives, dev_labels: recordings to choose by; may be augmented training recordings.
        held_out: True when no dev recording is trained on.
        dev_negatives: speech and noise of other speakers, for thresholds.
        confusables: words that sound like a keyword, or None.
        synthetic: synthetic voices, or None.
    """

    positives: AudioStore
    labels: Sequence[int]
    negatives: AudioStore
    dev_positives: list[np.ndarray]
    dev_labels: Sequence[int]
    held_out: bool
    dev_negatives: AudioStore
    confusables: AudioStore | None = None
    synthetic: Synthetic | None = None


class KeywordTask(lightning.LightningModule):
    """One step and one evaluation of keyword training."""

    def __init__(
        self, model: WakeWordModel, config: TrainConfig, data: TrainingData, batches: KeywordBatches
    ) -> None:
        super().__init__()
        self.model, self.config, self.data, self.batches = model, config, data, batches
        self.groups = apply_policy(model, config.transfer)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of this round, with hard negatives mined by the model as it is now."""
        config, epoch = self.config, self.current_epoch
        if epoch:
            self.batches.hard = hard_windows(
                self.model,
                self.data.negatives,
                self.batches.window_samples,
                config.mine_hours,
                seed=(config.seed, epoch),
            )
        self.batches.steps = range(epoch * config.steps_per_epoch, (epoch + 1) * config.steps_per_epoch)
        workers = config.num_workers
        return DataLoader(
            self.batches, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
        )

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of one batch; dropout follows seed and step, so a resumed run goes on alike."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.global_step)
        logits, _ = self.model(batch.waveform, batch.lengths)
        loss = max_pooling_loss(logits.float(), batch)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"step {self.global_step}: the loss is not finite; lower learning_rate or check the audio"
            )
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: Tensor, index: int) -> None:
        """Read dev: miss rate at the wanted false accepts per hour, and a smooth loss to stop by."""
        scores = read_dev(self.model, self.data, self.config.dev_hours)
        _, misses, _ = choose_operating_point(
            scores,
            self.model.keywords,
            hop_samples=self.model.hop_samples,
            false_accepts_per_hour=self.config.false_accepts_per_hour,
            smoothing_frames=self.config.smoothing_frames,
            refractory_s=self.config.refractory_s,
        )
        self.log("dev_miss", float(np.nanmean(list(misses.values()))), prog_bar=True, batch_size=1)
        self.log("dev_loss", scores.loss(), batch_size=1)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW over the policy's groups, warm-up, then cosine."""
        config = self.config
        groups = [{"params": list(g.parameters), "lr": config.learning_rate * g.rate} for g in self.groups]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        return scheduled(optimizer, config.epochs * config.steps_per_epoch, config.warmup)


class StopEarly(EarlyStopping):
    """Stops after rounds without a lower dev loss; a run that had stopped so is not trained further."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once when the checkpoint that training resumes from was the last."""
        trainer.should_stop = self.wait_count >= self.patience > 0


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and Python, and what loader processes draw."""
    lightning.seed_everything(seed, workers=True, verbose=False)


def read_dev(model: WakeWordModel, data: TrainingData, max_hours: float | None = None) -> DevScores:
    """Score the dev recordings and up to ``max_hours`` of the dev negatives."""
    return DevScores(
        positives=score_clips(model, data.dev_positives),
        labels=tuple(data.dev_labels),
        negatives=score_stream(model, data.dev_negatives, max_hours),
        hours=min(data.dev_negatives.hours, max_hours or math.inf),
    )


def fit(
    model: WakeWordModel,
    config: TrainConfig,
    data: TrainingData,
    output: Path,
    augment: Augment | None = None,
) -> dict[str, Any]:
    """Train ``model`` in place; called again after a kill, it goes on from the last finished round.

    Args:
        model: a fresh keyword model.
        config: rates, rounds and policy (resolved, not ``auto``).
        data: audio.
        output: gets ``checkpoints/``, ``log/`` (CSV) and ``tensorboard/``.
        augment: waveform augmentation, ``augment(waveform, item_id, seed, epoch)``.
    Returns:
        Rounds done, and whether training resumed.
    """
    batches = KeywordBatches(
        data.positives,
        data.labels,
        data.negatives,
        config.batch,
        num_keywords=len(model.keywords),
        hop_samples=model.hop_samples,
        augment=augment,
        seed=config.seed,
        confusables=data.confusables,
        synthetic=data.synthetic,
    )
    task = KeywordTask(model, config, data, batches)
    folder = output / "checkpoints"
    best = ModelCheckpoint(folder, "best", monitor="dev_loss", enable_version_counter=False)
    latest = ModelCheckpoint(
        folder, "last", enable_version_counter=False
    )  # after `best`, whose state it holds
    callbacks: list[lightning.Callback] = [best, latest, TQDMProgressBar(refresh_rate=5)]
    if data.held_out:
        callbacks.append(StopEarly("dev_loss", patience=config.patience))
    trainer = lightning.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,
        accelerator="auto",
        devices=1,
        gradient_clip_val=1.0,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        logger=[
            CSVLogger(output, name="log", version=""),
            TensorBoardLogger(output, name="tensorboard", version=""),
        ],
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        enable_model_summary=False,
    )
    resumed = newest_checkpoint(folder)
    if resumed:
        keep_earlier_log(output / "log")
    # dev is read as a whole, in one validation step
    one_reading: DataLoader[Tensor] = DataLoader([torch.zeros(1)], batch_size=None)  # type: ignore[arg-type]
    checkpoint = str(resumed.path) if resumed else None
    trainer.fit(task, val_dataloaders=one_reading, ckpt_path=checkpoint, weights_only=True)
    if data.held_out and best.best_model_path:
        tensors = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
        model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in tensors.items()})
    model.eval()
    return {
        "epochs": trainer.current_epoch,
        "resumed": resumed is not None,
        "early_stop": trainer.current_epoch < config.epochs,
    }
