"""Fine-tuning of a keyword model: schedule, step, evaluation, mining and saving.

Lightning runs the loop; losses, metrics, data and file formats live elsewhere. Called by
:mod:`kws.workflows.train`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader

from kws.data import Augment, KeywordBatches
from kws.encoders.ctc import PhoneRecognizer
from kws.errors import ConfigError
from kws.evaluation.thresholds import choose_operating_point
from kws.loss_weighting import build_loss_weighting
from kws.losses import build_loss
from kws.model import WakeWordModel
from kws.regularizers import Resources, Step, build_regularizer, need_domains, need_transcripts
from kws.structs import Batch
from kws.training.checkpoints import WholeCheckpoints, newest_checkpoint
from kws.training.config import TrainConfig
from kws.training.data import TrainingData
from kws.training.dev import read_dev
from kws.training.logs import StepBar, keep_earlier_log
from kws.training.precision import usable_precision
from kws.training.scan import hard_windows
from kws.training.schedule import scheduled
from kws.training.signals import gradient_signals
from kws.transfer import apply_policy, open_groups


class KeywordTask(lightning.LightningModule):
    """One step and one evaluation of keyword training.

    Args:
        model: see :func:`fit`, as ``config`` and ``data``.
        batches: what is trained on.
        signals: what a policy was told of the data before a run was stopped; None asks when a policy does.
        recognizer: see :func:`fit`.
    """

    def __init__(
        self,
        model: WakeWordModel,
        config: TrainConfig,
        data: TrainingData,
        batches: KeywordBatches,
        signals: list[float] | None = None,
        recognizer: PhoneRecognizer | None = None,
    ) -> None:
        super().__init__()
        self.model, self.config, self.data, self.batches = model, config, data, batches
        self.num_steps = config.num_epochs() * config.steps_per_epoch
        self.loss = build_loss(config.loss, config.loss_options)
        self.signals = signals
        self.policy, self.groups = apply_policy(model, config.transfer, self.ask)
        resources = Resources(batches.batch, recognizer)
        self.regularizers = nn.ModuleDict(
            {name: build_regularizer(name, model, resources) for name in config.regularizers}
        )
        weights = {"keyword": 1.0, **config.regularizers}
        self.loss_weighting = build_loss_weighting(
            config.loss_weighting, weights, config.loss_weighting_options
        )

    def ask(self) -> list[float]:
        """Return how much each borrowed part has to change by the data, the same in a run that goes on."""
        self.signals = self.signals or gradient_signals(self.model, self.loss, self.batches)
        return self.signals

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the policy was told."""
        checkpoint["signals"] = self.signals

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of this epoch, with hard negatives mined by the model as it is now."""
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
        progress = self.global_step / self.num_steps
        moving = open_groups(self.model, self.groups, progress)
        logits, features, frames = self.model.forward_features(batch.waveform, batch.lengths)
        step = Step(batch, features.float(), frames, logits.float(), progress)
        losses = {"keyword": self.loss(step.logits, batch)}
        losses |= {name: term(self.model, step) for name, term in self.regularizers.items()}
        loss: Tensor = self.loss_weighting(losses, moving[-1].parameters if len(moving) > 1 else ())
        if not torch.isfinite(loss):
            raise ConfigError(
                f"step {self.global_step}: the loss is not finite; lower learning_rate or check the audio"
            )
        self.log("loss", losses["keyword"].detach(), prog_bar=True)
        for name in self.regularizers:
            self.log(name, losses[name].detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: Tensor, index: int) -> None:
        """Read dev: miss rate at the wanted false accepts per hour, and a smooth loss to stop by."""
        scores = read_dev(self.model, self.data, self.config.dev_hours)
        _, misses, _ = choose_operating_point(
            scores,
            self.model.keywords,
            hop_samples=self.model.hop_samples,
            settings=self.config.decision,
            proven_per_hour=0.0,
        )
        self.log("dev_miss", float(np.nanmean(list(misses.values()))), prog_bar=True, batch_size=1)
        self.log("dev_loss", scores.loss(), batch_size=1)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW over the policy's groups, warm-up, then cosine."""
        config = self.config
        groups = [{"params": list(g.parameters), "lr": config.learning_rate * g.rate} for g in self.groups]
        opens = [group.opens for group in self.groups]
        for beside, rate in ((self.regularizers, 1.0), (self.loss_weighting, self.loss_weighting.rate)):
            if own := [parameter for parameter in beside.parameters() if parameter.requires_grad]:
                groups.append({"params": own, "lr": config.learning_rate * rate, "weight_decay": 0.0})
                opens.append(0.0)
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        return scheduled(optimizer, self.num_steps, config.warmup, opens)


class StopEarly(EarlyStopping):
    """Stops after epochs without a lower dev loss; a run that had stopped so is not trained further."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once when the checkpoint that training resumes from was the last."""
        trainer.should_stop = self.wait_count >= self.patience > 0


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and Python, and what loader processes draw."""
    lightning.seed_everything(seed, workers=True, verbose=False)


def fit(
    model: WakeWordModel,
    config: TrainConfig,
    data: TrainingData,
    output: Path,
    augment: Augment | None = None,
    recognizer: PhoneRecognizer | None = None,
) -> dict[str, Any]:
    """Train ``model`` in place; called again after a kill, it goes on from the last finished epoch.

    Args:
        model: a fresh keyword model.
        config: rates, epochs and policy (resolved, not ``auto``).
        data: audio.
        output: gets ``checkpoints/``, ``log/`` (CSV) and ``tensorboard/``.
        augment: waveform augmentation, ``augment(waveform, item_id, seed, epoch)``.
        recognizer: the model's source with its phone outputs, for regularisers that need them.
    Returns:
        Epochs done, whether training resumed, the names of the parts that were moved, and the number of
        their parameters.
    """
    transcribed = data.transcribed
    if not need_transcripts(config.regularizers, 0 if transcribed is None else len(transcribed)):
        transcribed = None
    target = None
    if need_domains(config.regularizers, data.has_two_domains):
        target = data.negatives if data.target is None else data.target
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
        transcribed=transcribed,
        target=target,
    )
    folder = output / "checkpoints"
    resumed = newest_checkpoint(folder)
    signals = _read_checkpoint(resumed.path).get("signals") if resumed else None
    task = KeywordTask(model, config, data, batches, signals, recognizer)
    best = ModelCheckpoint(folder, "best", monitor="dev_loss", enable_version_counter=False)
    latest = ModelCheckpoint(
        folder, "last", enable_version_counter=False
    )  # after `best`, whose state it holds
    callbacks: list[lightning.Callback] = [best, latest, StepBar(task.num_steps)]
    if data.held_out:
        callbacks.append(StopEarly("dev_loss", patience=config.patience))
    trainer = lightning.Trainer(
        max_epochs=config.num_epochs(),
        precision=usable_precision(config.precision),
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
    if resumed:
        keep_earlier_log(output / "log")
    # dev is read as a whole, in one validation step
    one_reading: DataLoader[Tensor] = DataLoader([torch.zeros(1)], batch_size=None)  # type: ignore[arg-type]
    checkpoint = str(resumed.path) if resumed else None
    trainer.fit(task, val_dataloaders=one_reading, ckpt_path=checkpoint, weights_only=True)
    if data.held_out and best.best_model_path:
        tensors = _read_checkpoint(best.best_model_path)["state_dict"]
        of_model = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
        model.load_state_dict(of_model)
    task.policy.finish(model)
    model.eval()
    done = (trainer.global_step - 1) / task.num_steps
    moved = [group for group in task.groups if group.opens <= done]
    return {
        "epochs": trainer.current_epoch,
        "resumed": resumed is not None,
        "precision": trainer.precision,
        "early_stop": trainer.current_epoch < config.num_epochs(),
        "moving": [group.name for group in moved],
        "moving_parameters": sum(p.numel() for group in moved for p in group.parameters),
    }


def _read_checkpoint(path: str | Path) -> dict[str, Any]:
    held: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return held
