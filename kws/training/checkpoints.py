"""Checkpoints that a kill or a full disk leaves whole: written aside, put in place, the one before kept.

Lightning writes into the system's temporary folder and moves the file, which on another disk is a copy that a
kill can cut short. Used by :mod:`kws.pretraining.loop` and :mod:`kws.training.loop`.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from kws.audio import atomic_write
from kws.errors import CheckpointError

logger = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
TORN = re.compile(r"\.(last|previous|best)\.ckpt\.[a-z0-9_]{8}")
"""What :func:`kws.audio.atomic_write` had begun."""


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's plugin that writes a checkpoint under a temporary name and keeps the last one before it."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: it cannot be written; those that were there are whole.
        """
        path = Path(path)
        try:
            with atomic_write(path) as temporary:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
                    file.flush()
                    os.fsync(file.fileno())
                if path.name == LAST and path.exists():
                    os.replace(path, path.with_name(PREVIOUS))
        except (OSError, RuntimeError) as error:  # torch turns some of the first into the second
            raise CheckpointError(
                f"{path}: cannot be written ({error}); the checkpoint before it is whole: free space, or "
                "make the folder writable, and give the same command again"
            ) from error


class Resumed(NamedTuple):
    """A checkpoint to go on from.

    Attributes:
        path: its file.
        step: optimiser steps done.
        tensors: weights of the task, the averaged ones where they are averaged.
        current: the weights that training goes on with.
    """

    path: Path
    step: int
    tensors: dict[str, torch.Tensor]
    current: dict[str, torch.Tensor]


def newest_checkpoint(folder: Path) -> Resumed | None:
    """Return the last whole checkpoint of a folder, or None; remove what a kill left half written.

    Raises:
        CheckpointError: there are checkpoints, but none is whole.
        OSError: one is there and cannot be opened.
    """
    for torn in folder.glob(".*.ckpt.*"):
        if TORN.fullmatch(torn.name):
            torn.unlink(missing_ok=True)
    broken = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            values = torch.load(path, weights_only=True, map_location="cpu")
            tensors = values["state_dict"]
            current = values.get("current_model_state", tensors)
            found = Resumed(path, int(values["global_step"]), tensors, current)
        except OSError:
            raise
        except Exception as error:  # torch's reader fails in many ways
            broken.append(f"{path} ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
            continue
        if broken:
            logger.warning("%s: damaged; going on from %s, step %d", broken[0], path.name, found.step)
        return found
    if broken:
        raise CheckpointError(
            f"{' and '.join(broken)}: damaged, so that the run cannot go on; copy the file there again, or "
            f"remove {folder} to start anew"
        )
    return None
