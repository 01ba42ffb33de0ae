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

from kws.config import config_hash
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded import SUBSAMPLING, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recognizer, save_recognizer
from kws.errors import CheckpointError, ConfigError
from kws.pretraining.batches import TrainingBatches, evaluation_batches
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import Augment, keep_versions
from kws.pretraining.folder import CHECKPOINTS, claim_speech, earlier_run, write_left_out
from kws.pretraining.sources import Lines, ToPhones, read_sources
from kws.pretraining.task import CtcTask, Mask, ngrams_of, phone_error_rate
from kws.pretraining.teachers import keep_teacher_targets, load_teacher
from kws.pretraining.word_space import make_word_space
from kws.training.checkpoints import Resumed, WholeCheckpoints
from kws.training.logs import StepBar, keep_earlier_log
from kws.training.precision import usable_precision
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


def begin_with(model: PhoneRecognizer, folder: Path) -> None:
    """Take over weights and band statistics of an earlier run.

    Outputs of languages that it did not have, or had with other symbols, stay as they are; so do the stem
    where `encoder.stem_channels` differ, and layers on top of those it had.

    Raises:
        ConfigError: its encoder has another shape.
        CheckpointError: it cannot be read, or is damaged.
    """
    try:
        earlier = load_recognizer(folder)
    except CheckpointError as error:
        raise CheckpointError(f"init: {error}") from error
    before, now = earlier.encoder.shape(), model.encoder.shape()
    changeable = {name: now[name] for name in ("stem_channels", "num_layers")}
    fewer = now["num_layers"] < before["num_layers"]
    if fewer or (before | changeable, earlier.middle) != (now, model.middle):
        raise ConfigError(
            f"init: {folder} holds an encoder of another shape; give the same `encoder` and `middle`"
            " (`encoder.stem_channels` may differ, then the stem is learnt anew; `encoder.num_layers` may be"
            " larger, then the layers on top are)"
        )
    taken = earlier.state_dict()
    wrong = [name for name, tensor in taken.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise CheckpointError(f"init: {folder}: {wrong[0]} is not finite; give the weights of another run")
    left = [] if before["stem_channels"] == now["stem_channels"] else ["encoder.stem."]
    left += [
        f"further.{language}."
        for language, symbols in earlier.inventories.items()
        if symbols != model.inventories.get(language)
    ]
    taken = {name: tensor for name, tensor in taken.items() if not name.startswith(tuple(left))}
    model.load_state_dict(model.state_dict() | taken)


def take_statistics(encoder: EmbeddedEncoder, resumed: Resumed) -> None:
    """Take the front end's mean and scale from a checkpoint, before the loader's processes copy them."""
    for name in ("mean", "scale"):
        getattr(encoder.frontend, name).copy_(resumed.current[f"model.encoder.frontend.{name}"])


def pretrain(
    config: PretrainConfig,
    output: Path,
    augment: Augment | None = None,
    mask: Mask | None = None,
    root: Path = Path(),
    to_phones: ToPhones | None = None,
    noise_digest: str = "",
    cache: Path | None = None,
) -> dict[str, Any]:
    """Train the phone recogniser of a recipe; called again after a kill, it goes on from its last checkpoint.

    Args:
        config: the recipe.
        output: folder for checkpoints, log, weights and metrics.
        augment: waveform augmentation, ``augment(waveform, item_id, seed, epoch)``.
        mask: masking of log-mel, ``mask(features, lengths, generator)``.
        root: what relative manifest paths start from.
        to_phones: reads the texts of sources with a ``language``.
        noise_digest: changes with the noise that ``augment`` mixes in; a run goes on with the same alone.
        cache: folder for the decoded speech, 115 MB an hour; None is ``output/cache``.
    Returns:
        metrics: hours, steps, phone error rates; also written to ``metrics.json``. With several devices, each
        further process returns without phone error rates.
    Raises:
        ConfigError: the folder holds a run of another recipe, or the loss was not finite.
        ManifestError: a manifest or too much of the speech cannot be used, or it is not that of the run's
            beginning.
        CheckpointError: weights, teacher or checkpoints cannot be read, or a checkpoint not be written.
    """
    config, resumed = earlier_run(config, output)
    rank: int = getattr(rank_zero_only, "rank", 0)  # this process among those of all devices
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    # what may be missing is looked for before audio is read, which can take an hour
    config, lines = _read_lines(config, root, to_phones)
    encoder = EmbeddedEncoder(config.encoder, source="kws pretrain")
    model = PhoneRecognizer(encoder, config.middle, config.inventories)
    first_step = 0 if resumed is None else resumed.step
    if config.init is not None and resumed is None:
        begin_with(model, root / config.init)
    teacher = None if config.teacher is None else load_teacher(config.teacher, root)
    hear = functools.partial(
        Lines.corpus,
        max_left_out=config.max_left_out,
        cache=cache or output / "cache",
        num_workers=config.num_workers,
    )
    train, dev = hear(lines["train"], "train", known_only=True), hear(lines["dev"], "dev")
    claim_speech(train, noise_digest, output, resumed is not None, write=rank == 0)
    left_out = {"train": train.left_out, "dev": dev.left_out}
    if resumed:
        take_statistics(encoder, resumed)
    if rank == 0:
        write_config(output / CONFIG, config)
        write_left_out(output, left_out)
        if resumed:
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
    if config.init is None and resumed is None:
        set_statistics(encoder, batches)
    batches.rank = rank  # from here on, so that every process has the same statistics
    batches.encoder = copy.deepcopy(encoder)  # its front end stays on the processor when the model moves
    keep_versions(
        train, augment=augment, encoder=batches.encoder, seed=config.seed, num_workers=config.num_workers
    )
    if config.teacher is not None:
        keep_teacher_targets(train, config.teacher, output / "teacher", root, teacher=teacher)
    dev_batches = [batch for batch, _ in evaluation_batches(dev, 120.0, encoder)]
    dimension = 0 if train.teacher_targets is None else train.teacher_targets.embeddings[0].shape[1]
    task = CtcTask(model, config, mask, dimension)
    started = time.monotonic()
    trainer = _new_trainer(config, output)
    if first_step < config.steps:
        trainer.fit(
            task,
            _loader(batches, config),
            DataLoader(dev_batches, batch_size=None),  # type: ignore[arg-type]
            ckpt_path=str(resumed.path) if resumed else None,
            weights_only=True,
        )
    elif resumed:  # stopped after its last step: what the checkpoint holds are the averaged weights
        task.load_state_dict(resumed.tensors)
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
    save_recognizer(output, model, config, metrics)
    metrics["dev_phone_error_rate"] = phone_error_rate(model, dev, GROUPS)
    if config.test:
        test = hear(lines["test"], "test")
        left_out["test"] = test.left_out
        write_left_out(output, left_out)
        by = (*GROUPS, "gender", "age")
        ngrams = ngrams_of(train, config.train)
        metrics["test_phone_error_rate"] = phone_error_rate(model, test, by)
        metrics["test_phone_error_rate_with_ngrams"] = phone_error_rate(model, test, by, ngrams)
    metrics["left_out"] = {name: len(entries) for name, entries in left_out.items()}
    save_recognizer(output, model, config, metrics)
    if config.words:
        make_word_space(model, train.sample(config.words), output)
    return metrics


def _read_lines(
    config: PretrainConfig, root: Path, to_phones: ToPhones | None
) -> tuple[PretrainConfig, dict[str, Lines]]:
    """Return the recipe with the inventories of what is trained on, and the manifest lines of each split."""
    read = functools.partial(
        read_sources,
        root=root,
        to_phones=to_phones,
        outputs=config.outputs,
        max_left_out=config.max_left_out,
    )
    lines = {"train": read(config.train, inventories=config.inventories)}
    config = replace(config, inventories=lines["train"].inventories)
    for name, sources in (("dev", config.dev), ("test", config.test)):
        lines[name] = read(sources, inventories=config.inventories)
    return config, lines


def _loader(batches: TrainingBatches, config: PretrainConfig) -> DataLoader[Any]:
    """Return what makes batches beside training; of audio that is kept a batch costs next to nothing."""
    num_workers = 0 if all(batches.corpus.kept) else config.num_workers
    return DataLoader(
        batches, batch_size=None, num_workers=num_workers, prefetch_factor=8 if num_workers else None
    )


def _new_trainer(config: PretrainConfig, output: Path) -> lightning.Trainer:
    """Return the loop of a recipe, with its log, checkpoints and averaged weights."""
    return lightning.Trainer(
        max_steps=config.steps,
        precision=usable_precision(config.precision),
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
                output / CHECKPOINTS,
                save_last=True,
                every_n_train_steps=config.evaluate_every,
                save_top_k=0,
                enable_version_counter=False,  # a folder that was moved has one last checkpoint, too
            ),
            # not of the band statistics, which an average rounds: a resumed run would not go on alike
            EMAWeightAveraging(decay=config.ema_decay, use_buffers=False),
            StepBar(config.steps),
        ],
        plugins=[WholeCheckpoints()],
        enable_model_summary=False,
    )
