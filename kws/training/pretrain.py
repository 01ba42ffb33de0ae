"""``kws pretrain``: transcribed speech to the embedded phone recogniser, by CTC (DESIGN §5)."""

from __future__ import annotations

import copy
import functools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from kws.config import config_hash, load_config, read_yaml, to_dict
from kws.encoders.ctc import PhoneRecogniser
from kws.encoders.sources.embedded import SUBSAMPLING, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recogniser, save_recogniser
from kws.errors import ConfigError
from kws.training.logs import StepBar, keep_earlier_log
from kws.training.pretrain_config import PretrainConfig
from kws.training.pretrain_data import Augment, TrainingBatches, evaluation_batches, keep_versions
from kws.training.pretrain_sources import ToPhones, load_sources
from kws.training.pretrain_task import CtcTask, Mask, ngrams_of, phone_error_rate
from kws.training.teachers import keep_lessons
from kws.training.word_space import make_word_space
from kws.weights import CONFIG, write_config

STATISTICS_UTTERANCES = 300
"""Utterances that the mean and deviation of each mel band are taken from."""
GROUPS = ("corpus", "language")
"""Phone error rates are given for each of these too."""


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

    Outputs of languages that it did not have, or had with other symbols, stay as they are.

    Raises:
        ConfigError: its encoder has another shape.
        CheckpointError: it cannot be read.
    """
    earlier = load_recogniser(folder)
    if (earlier.encoder.shape(), earlier.middle) != (model.encoder.shape(), model.middle):
        raise ConfigError(
            f"init: {folder} holds an encoder of another shape; give the same `encoder` and `middle`"
        )
    taken = earlier.state_dict()
    for language, symbols in earlier.inventories.items():
        if symbols != model.inventories.get(language):
            taken = {name: t for name, t in taken.items() if not name.startswith(f"further.{language}.")}
    model.load_state_dict(model.state_dict() | taken)


def load_statistics(encoder: EmbeddedEncoder, checkpoint: Path) -> None:
    """Take the front end's mean and scale from a checkpoint, before the loader's processes copy them."""
    tensors = torch.load(checkpoint, weights_only=True, map_location="cpu")["state_dict"]
    for name in ("mean", "scale"):
        getattr(encoder.frontend, name).copy_(tensors[f"model.encoder.frontend.{name}"])


def claim_folder(config: PretrainConfig, output: Path) -> PretrainConfig:
    """Write the recipe to ``output``, or hold it against the recipe of the run that is there.

    Returns:
        the recipe, with the inventories that were collected for that run.
    Raises:
        ConfigError: the folder holds a run of another recipe.
    """
    if (output / "checkpoints" / "last.ckpt").exists() and (output / CONFIG).exists():
        stored = load_config(PretrainConfig, read_yaml(output / CONFIG), str(output / CONFIG))
        before, now = to_dict(stored), to_dict(config)  # keys that are newer than the run have their defaults
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        collected = before.get("inventories", {})
        if all(collected.get(language) == symbols for language, symbols in config.inventories.items()):
            changed = [key for key in changed if key != "inventories"]  # the run added others
        if changed:
            raise ConfigError(
                f"{output}: holds a run of a recipe that differs in {', '.join(changed)}; give another "
                "--output, or the recipe it was started with to go on"
            )
        config = replace(config, inventories=collected)
    output.mkdir(parents=True, exist_ok=True)
    write_config(output / CONFIG, config)
    return config


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
    config = claim_folder(config, output)
    rank: int = getattr(rank_zero_only, "rank", 0)  # this process among those of all devices
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    read = functools.partial(load_sources, root=root, to_phones=to_phones, outputs=config.outputs)
    train = read(config.train, inventories=config.inventories)
    config = claim_folder(replace(config, inventories=train.inventories), output)
    dev = read(config.dev, inventories=config.inventories)
    encoder = EmbeddedEncoder(config.encoder, source="kws pretrain")
    model = PhoneRecogniser(encoder, config.middle, config.inventories)
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
    metrics["dev_phone_error_rate"] = phone_error_rate(model, dev, GROUPS)
    if config.test:
        test = read(config.test, inventories=config.inventories)
        by = (*GROUPS, "gender", "age")
        metrics["test_phone_error_rate"] = phone_error_rate(model, test, by)
        metrics["test_phone_error_rate_with_ngrams"] = phone_error_rate(model, test, by, ngrams_of(train))
    save_recogniser(output, model, config, metrics)
    return metrics
