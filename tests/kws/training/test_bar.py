"""The bar of training: on a terminal alone, with the steps of the whole run and the epoch."""

from __future__ import annotations

import ast
import io
import logging
import re
import sys
from pathlib import Path

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from kws.training.logs import StepBar

ROOT = Path(__file__).parents[3]


class Line(lightning.LightningModule):
    """Fits a number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        loss = self.layer(batch).square().mean()
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: torch.Tensor, index: int) -> None:
        self.log("dev_loss", self.layer(batch).sum(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fitted(folder: Path, **length: int) -> None:
    """Fit for two epochs of three steps, or for so many steps."""
    rows = DataLoader(torch.ones(3, 1))
    trainer = lightning.Trainer(
        **(length or {"max_epochs": 2}),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[StepBar(6)],
    )
    trainer.fit(Line(), rows, rows)


def test_a_terminal_sees_the_steps_of_the_whole_run_and_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    fitted(tmp_path)
    last = terminal.getvalue().rstrip().split("\r")[-1]
    assert re.match(r"epoch 2/2: 100%\|.*\| 6/6 \[.*step.*loss=", last)
    assert "epoch 1/2:" in terminal.getvalue() and "/?" not in terminal.getvalue()


def test_a_run_by_steps_has_no_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    fitted(tmp_path, max_steps=6)
    assert "training: 100%|" in terminal.getvalue() and "epoch" not in terminal.getvalue()


def test_a_file_or_pipe_gets_no_bar_and_the_log_a_line_for_each_epoch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, logger="kws.training.logs"):
        fitted(tmp_path)
    printed = capfd.readouterr()
    assert "\r" not in printed.out + printed.err and "step" not in printed.out + printed.err
    said = [record.getMessage() for record in caplog.records if record.name == "kws.training.logs"]
    assert [line.partition(":")[0] for line in said] == ["epoch 1/2, step 3 of 6", "epoch 2/2, step 6 of 6"]
    assert "dev_loss" in said[0]


def test_every_bar_of_the_project_hides_from_files_and_pipes():
    shown, number = [], 0
    for package in ("kws", "data_prep", "export", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm":
                    number += 1
                    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                    if None not in given and "None" not in given.get("disable", ""):
                        shown.append(f"{path.relative_to(ROOT)}, line {node.lineno}")
    assert number > 10 and shown == []
