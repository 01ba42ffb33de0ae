"""The CSV log and the progress bar of a run that was stopped and goes on."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any, NoReturn

import lightning
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

logger = logging.getLogger(__name__)


def keep_earlier_log(folder: Path) -> None:
    """Rename ``metrics.csv`` to ``metrics-1.csv`` or the next: Lightning's logger would remove it."""
    log = folder / "metrics.csv"
    if log.exists():
        names = (folder / f"metrics-{number}.csv" for number in itertools.count(1))
        log.rename(next(name for name in names if not name.exists()))


class StepBar(ProgressBar):
    """One bar over all steps on a terminal, with the epoch; elsewhere a line of the log for each epoch.

    Args:
        num_steps: of the whole run, resumed or not.
    """

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.num_steps, self.is_shown = num_steps, True
        self.bar: tqdm[NoReturn] | None = None

    def disable(self) -> None:
        """Show nothing, in a process that is not the first."""
        self.is_shown = False

    def enable(self) -> None:
        """Show the bar."""
        self.is_shown = True

    def on_train_start(self, trainer: lightning.Trainer, *_: lightning.LightningModule) -> None:
        """Begin at the step that training resumes from."""
        self.bar = tqdm(
            desc="training",
            total=self.num_steps,
            initial=trainer.global_step,
            unit="step",
            smoothing=0.05,
            dynamic_ncols=True,
            disable=None if self.is_shown else True,
        )

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: lightning.LightningModule) -> None:
        """Name the epoch."""
        if self.bar is not None and (trainer.max_epochs or 0) > 0:
            self.bar.set_description(epoch_of(trainer))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        """Go on to the step that is done."""
        if self.bar is not None and not self.bar.disable:
            self.bar.set_postfix(self.get_metrics(trainer, pl_module), refresh=False)
            self.bar.update(trainer.global_step - self.bar.n)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log what the epoch gave."""
        values = ", ".join(f"{name} {value}" for name, value in self.get_metrics(trainer, pl_module).items())
        logger.info("%s, step %d of %d: %s", epoch_of(trainer), trainer.global_step, self.num_steps, values)

    def on_train_end(self, *_: Any) -> None:
        """End the line."""
        if self.bar is not None:
            self.bar.close()

    def on_exception(self, *_: Any) -> None:
        """End the line, so that what is said next has its own."""
        self.on_train_end()


def epoch_of(trainer: lightning.Trainer) -> str:
    """Return which epoch it is, of how many where that is known."""
    total = f"/{trainer.max_epochs}" if (trainer.max_epochs or 0) > 0 else ""
    return f"epoch {trainer.current_epoch + 1}{total}"
