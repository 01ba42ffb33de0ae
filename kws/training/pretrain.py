"""``kws pretrain``: transcribed speech to the embedded phone recogniser, by CTC (DESIGN §5).

Source of the loss: connectionist temporal classification, Graves et al., ICML 2006.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchaudio.functional import edit_distance

from kws import phones
from kws.config import config_hash, read_yaml, to_dict
from kws.encoders.ctc import PhoneRecogniser
from kws.encoders.sources.embedded import SUBSAMPLING, EmbeddedConfig, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recogniser, save_recogniser
from kws.errors import ConfigError
from kws.training.logs import StepBar, keep_earlier_log
from kws.training.optimizers import muon_and_adamw
from kws.training.pretrain_data import (
    Augment,
    Corpus,
    CtcBatch,
    TrainingBatches,
    evaluation_batches,
    keep_versions,
)
from kws.training.pretrain_sources import SourceConfig, ToPhones, load_sources
from kws.training.schedule import scheduled
from kws.training.teachers import TeacherConfig, keep_lessons
from kws.training.word_space import make_word_space
from kws.weights import CONFIG, write_config

logger = logging.getLogger(__name__)

Mask = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""``mask(features, lengths, generator) -> features`` on log-mel; ``data_prep.augmentation`` makes one."""

STATISTICS_UTTERANCES = 300
"""Utterances that the mean and deviation of each mel band are taken from."""


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """A pretraining recipe."""

    train: tuple[SourceConfig, ...]
    """Speech to learn from."""
    dev: tuple[SourceConfig, ...]
    """Real speech of other speakers: the phone error rate that the curve shows."""
    test: tuple[SourceConfig, ...] = ()
    """Read once, at the end, for the model card."""
    noise: Path | None = None
    """Manifest or folder of noise recordings to mix in."""
    init: Path | None = None
    """Output of an earlier run, of the same encoder, whose weights are the start; None starts at random."""
    teacher: TeacherConfig | None = None
    """A better informed model whose embeddings are learnt beside phones; None: phones alone."""
    encoder: EmbeddedConfig = field(default_factory=EmbeddedConfig)
    """Shape of the encoder."""
    middle: int = 5
    """Layers below the middle CTC output."""
    middle_weight: float = 0.3
    """Weight of the middle CTC loss."""
    steps: int = 20_000
    """Optimiser steps."""
    batch_s: float = 80.0
    """Seconds of audio per step."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW, for outputs, filters, norms and biases."""
    matrix_rate: float = 0.03
    """Peak rate of Muon, for the matrices of the encoder."""
    warmup: float = 0.03
    """Share of the steps over which the rate rises; then it falls to zero on a cosine."""
    weight_decay: float = 0.02
    """Weight decay of both."""
    ema_decay: float = 0.999
    """Decay per step of the averaged weights that are evaluated and saved."""
    augment_strength: float = 1.0
    """Strength of the waveform augmentation, 0 (none) to 1.4."""
    spec_augment: bool = True
    """Mask random mel bands and frames."""
    warp: float = 0.0
    """Largest change of the length of the vocal tract, as a share; drawn anew for every utterance."""
    ramp: float = 0.12
    """Share of the steps over which augmentation and masking come in."""
    words: int = 0
    """Utterances from which the maps of ``kws enroll --way`` are learnt at the end; 0 learns none."""
    evaluate_every: int = 1000
    """Steps between two readings of the dev phone error rate and checkpoints."""
    num_workers: int = 1
    """Processes that make batches, for each device."""
    devices: int = 0
    """Processors to train on, each with batches of its own; 0 takes every GPU, or one CPU process."""
    seed: int = 1
    """Seed of weights, draws and augmentation."""
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    """Lightning precision; ``32-true`` where bfloat16 is slow."""

    def __post_init__(self) -> None:
        if not self.train or not self.dev:
            raise ConfigError("train and dev: got none, give at least one manifest for each")
        if any(source.unlabelled for source in self.dev + self.test):
            raise ConfigError("dev and test: `unlabelled` has no phone error rate; leave it out there")
        if self.teacher is None and any(source.unlabelled for source in self.train):
            raise ConfigError("train: an `unlabelled` source needs a `teacher` to learn from")
        if self.teacher is not None and self.teacher.layer > self.encoder.num_layers:
            raise ConfigError(
                f"teacher.layer: got {self.teacher.layer}, allowed: 1 to {self.encoder.num_layers} "
                "(encoder.num_layers)"
            )
        if self.devices < 0:
            raise ConfigError(f"devices: got {self.devices}, allowed: 0 or more")
        for name in ("steps", "batch_s", "learning_rate", "matrix_rate", "evaluate_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed: above 0")
        if not 1 <= self.middle <= self.encoder.num_layers:
            raise ConfigError(
                f"middle: got {self.middle}, allowed: 1 to {self.encoder.num_layers} (encoder.num_layers)"
            )


class CtcTask(lightning.LightningModule):
    """One step and one evaluation of CTC pretraining."""

    def __init__(
        self,
        model: PhoneRecogniser,
        config: PretrainConfig,
        mask: Mask | None = None,
        teacher_dimension: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.config, self.mask = model, config, mask
        self.loss = nn.CTCLoss(blank=phones.BLANK, zero_infinity=True)
        if teacher_dimension:
            dimension = model.encoder.info.dimension
            self.lesson = nn.Sequential(nn.LayerNorm(dimension), nn.Linear(dimension, teacher_dimension))
        self._edits: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def training_step(self, batch: CtcBatch, index: int) -> Tensor:
        """CTC on the last layer, the weighted one on the middle layer, and the teacher's embeddings."""
        features = batch.features
        # masks and dropped blocks follow seed and step, so that a resumed run goes on alike
        generator = torch.manual_seed((self.config.seed + self.global_rank) * 1_000_003 + self.global_step)
        if self.mask is not None and self.global_step >= self.config.ramp * self.config.steps:
            features = self.mask(features, SUBSAMPLING * batch.lengths, generator)
        hidden = self.model.hidden(features)
        losses = [self.ctc(logits, batch) for logits in self.model.logits(hidden)]
        loss = losses[0] + self.config.middle_weight * losses[1]
        if self.config.teacher is not None:
            lesson = self.lesson_error(hidden[self.config.teacher.layer - 1], batch)
            loss = loss + self.config.teacher.weight * lesson
            self.log("lesson", lesson.detach(), prog_bar=True)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"step {self.global_step}: the loss is not finite; lower learning_rate or check the data"
            )
        self.log("loss", losses[0].detach(), prog_bar=True)
        return loss

    def ctc(self, logits: Tensor, batch: CtcBatch) -> Tensor:
        """Return the CTC loss of the rows whose phones are known."""
        told = batch.target_lengths > 0
        if not told.any():
            return 0 * logits.float().sum()
        return self.loss(
            logits[told].float().log_softmax(2).transpose(0, 1),
            batch.targets,
            batch.lengths[told],
            batch.target_lengths[told],
        )

    def lesson_error(self, features: Tensor, batch: CtcBatch) -> Tensor:
        """Return the mean squared error of the teacher's embeddings, read from a layer's valid frames."""
        assert batch.embeddings is not None
        frames = torch.arange(features.shape[1], device=features.device)
        valid = frames < batch.lengths[:, None]
        return (self.lesson(features).float() - batch.embeddings)[valid].square().mean()

    def on_validation_epoch_start(self) -> None:
        """Start the count of edits anew."""
        self._edits.clear()

    def validation_step(self, batch: CtcBatch, index: int) -> None:
        """Count edits between recognised and canonical phones."""
        for name, edits in zip(("per", "per_middle"), count_edits(self.model, batch), strict=True):
            self._edits[name][0] += sum(edit for edit, _ in edits)
            self._edits[name][1] += sum(length for _, length in edits)

    def on_validation_epoch_end(self) -> None:
        """Log the dev phone error rates of the last and the middle output."""
        for name, (edits, length) in self._edits.items():
            self.log(f"dev_{name}", edits / max(length, 1), prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Muon and AdamW, warm-up, then cosine."""
        optimizer = muon_and_adamw(
            self,
            self.model.encoder,
            matrix_rate=self.config.matrix_rate,
            rate=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        return scheduled(optimizer, self.config.steps, self.config.warmup)


@torch.no_grad()
def count_edits(
    model: PhoneRecogniser, batch: CtcBatch
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (edits, reference length) per row, for the last and the middle output, by greedy decoding."""
    references = [
        [phones.PHONES[index - 1] for index in row.tolist()]
        for row in batch.targets.split(batch.target_lengths.tolist())
    ]
    counted = []
    for logits in model(batch.features):
        best = logits.argmax(2)
        rows = [
            phones.decode(row[:count].tolist())
            for row, count in zip(best, batch.lengths.tolist(), strict=True)
        ]
        counted.append([(int(edit_distance(r, h)), len(r)) for r, h in zip(references, rows, strict=True)])
    return counted[0], counted[1]


def phone_error_rate(model: PhoneRecogniser, corpus: Corpus, by: Iterable[str] = ()) -> dict[str, float]:
    """Phone error rate of a corpus, whole and by the values of manifest fields.

    Args:
        model: the recogniser; put into eval mode.
        corpus: transcribed speech.
        by: names of extra manifest fields, such as ``gender``; ``age`` is grouped into child (below 16) and
            adult.
    Returns:
        ``{"all": 0.3, "gender=f": 0.28, ...}``.
    """
    model.eval()
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for batch, utterances in evaluation_batches(corpus, 120.0, model.encoder):
        for (edits, length), utterance in zip(count_edits(model, batch)[0], utterances, strict=True):
            groups = ["all"]
            for name in by:
                value = utterance.extra.get(name)
                if name == "age" and value is not None:
                    value = "child" if value < 16 else "adult"
                groups.append(f"{name}={value}")
            for group in groups:
                totals[group][0] += edits
                totals[group][1] += length
    return {group: edits / max(length, 1) for group, (edits, length) in sorted(totals.items())}


def set_statistics(encoder: EmbeddedEncoder, batches: TrainingBatches) -> None:
    """Set the front end's mean and scale from the first training batches, augmented as in training."""
    rows: list[Tensor] = []
    step = 0
    while sum(len(row) for row in rows) < STATISTICS_UTTERANCES * 100:
        batch = batches.batch(step)
        frames = (SUBSAMPLING * batch.lengths).tolist()
        rows += [row[:count] for row, count in zip(batch.features, frames, strict=True)]
        step += 1
    joined = torch.cat(rows)
    encoder.frontend.mean.copy_(joined.mean(0))
    encoder.frontend.scale.copy_(1 / joined.std(0).clamp_min(1e-3))


def begin_with(model: PhoneRecogniser, folder: Path) -> None:
    """Take over weights and band statistics of an earlier run.

    Raises:
        ConfigError: its encoder has another shape.
        CheckpointError: it cannot be read.
    """
    earlier = load_recogniser(folder)
    if (earlier.encoder.shape(), earlier.middle) != (model.encoder.shape(), model.middle):
        raise ConfigError(
            f"init: {folder} holds an encoder of another shape; give the same `encoder` and `middle`"
        )
    model.load_state_dict(earlier.state_dict())


def load_statistics(encoder: EmbeddedEncoder, checkpoint: Path) -> None:
    """Take the front end's mean and scale from a checkpoint, before the loader's processes copy them."""
    tensors = torch.load(checkpoint, weights_only=True, map_location="cpu")["state_dict"]
    for name in ("mean", "scale"):
        getattr(encoder.frontend, name).copy_(tensors[f"model.encoder.frontend.{name}"])


def claim_folder(config: PretrainConfig, output: Path) -> None:
    """Write the recipe to ``output``, or hold it against the recipe of the run that is there.

    Raises:
        ConfigError: the folder holds a run of another recipe.
    """
    if (output / "checkpoints" / "last.ckpt").exists() and (output / CONFIG).exists():
        before, now = read_yaml(output / CONFIG), to_dict(config)
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if changed:
            raise ConfigError(
                f"{output}: holds a run of a recipe that differs in {', '.join(changed)}; give another "
                "--output, or the recipe it was started with to go on"
            )
    output.mkdir(parents=True, exist_ok=True)
    write_config(output / CONFIG, config)


def pretrain(
    config: PretrainConfig,
    output: Path,
    augment: Augment | None = None,
    mask: Mask | None = None,
    root: Path = Path(),
    to_phones: ToPhones | None = None,
) -> dict[str, Any]:
    """Train the phone recogniser of a recipe; called again after a kill, it goes on from its last checkpoint.

    Args:
        config: the recipe.
        output: folder for checkpoints, log, weights and metrics.
        augment: waveform augmentation, ``augment(waveform, item_id, seed, epoch)``.
        mask: masking of log-mel, ``mask(features, lengths, generator)``.
        root: what relative manifest paths start from.
        to_phones: reads the texts of sources with a ``language``.
    Returns:
        metrics: hours, steps, phone error rates; also written to ``metrics.json``. With several devices, each
        further process returns without phone error rates.
    Raises:
        ConfigError: the folder holds a run of another recipe, or the loss was not finite.
    """
    claim_folder(config, output)
    rank: int = getattr(rank_zero_only, "rank", 0)  # this process among those of all devices
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    train, dev = (load_sources(sources, root, to_phones) for sources in (config.train, config.dev))
    encoder = EmbeddedEncoder(config.encoder, source="kws pretrain")
    model = PhoneRecogniser(encoder, config.middle)
    last = output / "checkpoints" / "last.ckpt"
    first_step = (
        int(torch.load(last, weights_only=True, map_location="cpu")["global_step"]) if last.exists() else 0
    )
    if first_step:
        load_statistics(encoder, last)
        if rank == 0:
            keep_earlier_log(output / "log")
    batches = TrainingBatches(
        train,
        batch_s=config.batch_s,
        augment=augment,
        ramp_steps=round(config.ramp * config.steps),
        encoder=encoder,
        num_steps=config.steps,
        first_step=first_step,
        seed=config.seed,
    )
    if not first_step and config.init is not None:
        begin_with(model, root / config.init)
    elif not first_step:
        set_statistics(encoder, batches)
    batches.rank = rank  # from here on, so that every process has the same statistics
    batches.encoder = copy.deepcopy(encoder)  # its front end stays on the processor when the model moves
    keep_versions(
        train, augment=augment, encoder=batches.encoder, seed=config.seed, num_workers=config.num_workers
    )
    # a batch of what is kept costs next to nothing
    num_workers = 0 if all(train.kept) else config.num_workers
    loader = DataLoader(
        batches, batch_size=None, num_workers=num_workers, prefetch_factor=8 if num_workers else None
    )
    if config.teacher is not None:
        keep_lessons(train, config.teacher, output / "teacher", root)
    dev_batches = [batch for batch, _ in evaluation_batches(dev, 120.0, encoder)]
    dimension = 0 if train.lessons is None else train.lessons.embeddings[0].shape[1]
    task = CtcTask(model, config, mask, dimension)
    started = time.monotonic()
    trainer = lightning.Trainer(
        max_steps=config.steps,
        precision=config.precision,
        accelerator="auto",
        devices=config.devices or "auto",
        use_distributed_sampler=False,  # batches know their process
        gradient_clip_val=1.0,
        val_check_interval=config.evaluate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        logger=CSVLogger(output, name="log", version=""),
        callbacks=[
            ModelCheckpoint(
                output / "checkpoints",
                save_last=True,
                every_n_train_steps=config.evaluate_every,
                save_top_k=0,
            ),
            EMAWeightAveraging(decay=config.ema_decay),
            StepBar(refresh_rate=20),
        ],
        enable_model_summary=False,
    )
    if first_step < config.steps:
        trainer.fit(
            task,
            loader,
            DataLoader(dev_batches, batch_size=None),  # type: ignore[arg-type]
            ckpt_path=str(last) if first_step else None,
            weights_only=True,
        )
    else:  # stopped after its last step: what the checkpoint holds are the averaged weights
        task.load_state_dict(torch.load(last, weights_only=True, map_location="cpu")["state_dict"])
    metrics = {
        "steps": config.steps,
        "train_hours": round(train.hours, 3),
        "train_utterances": len(train.audio),
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "config_hash": config_hash(config),
        "wall_s": round(time.monotonic() - started),
    }
    if not trainer.is_global_zero:
        return metrics
    # evaluated as saved: weights rounded to half precision
    save_recogniser(output, model, config, metrics)
    if config.words:
        make_word_space(model, train.sample(config.words), output)
    metrics["dev_phone_error_rate"] = phone_error_rate(model, dev)
    if config.test:
        test = load_sources(config.test, root, to_phones)
        metrics["test_phone_error_rate"] = phone_error_rate(model, test, by=("gender", "age"))
    save_recogniser(output, model, config, metrics)
    return metrics
