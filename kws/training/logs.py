"""The CSV log and the progress bar of a run that was stopped and goes on."""

from __future__ import annotations

import itertools
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import TQDMProgressBar


def keep_earlier_log(folder: Path) -> None:
    """Rename ``metrics.csv`` to ``metrics-1.csv`` or the next: Lightning's logger would remove it."""
    log = folder / "metrics.csv"
    if log.exists():
        names = (folder / f"metrics-{number}.csv" for number in itertools.count(1))
        log.rename(next(name for name in names if not name.exists()))


class StepBar(TQDMProgressBar):
    """A bar over all steps; of a run that resumes in the middle of an epoch it shows the end, too."""

    def on_train_start(self, trainer: lightning.Trainer, *_: lightning.LightningModule) -> None:
        """Begin at the step that training resumes from."""
        super().on_train_start(trainer)
        if trainer.global_step and trainer.max_steps > 0:
            bar = self.train_progress_bar
            bar.total, bar.initial = trainer.max_steps, trainer.global_step
            bar.n = bar.last_print_n = trainer.global_step
