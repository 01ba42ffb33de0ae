"""Bars on a terminal become numbers; what is no bar is logged."""

from __future__ import annotations

import sys

import pytest
from tqdm import tqdm

from kws.workflows.project.progress import BarReader, Progress


def test_bars_of_workflows_are_read_and_lines_are_logged(monkeypatch: pytest.MonkeyPatch):
    told: list[Progress] = []
    logged: list[str] = []
    monkeypatch.setattr(sys, "stderr", BarReader(told.append, logged.append))
    for _ in tqdm(range(3), "saying 'hey'", disable=None, mininterval=0):
        pass
    for _ in tqdm(range(40), "epoch 1/4", disable=None, mininterval=0, dynamic_ncols=True, unit="step"):
        pass
    print("WARNING: something", file=sys.stderr)
    print("30% of it is done", file=sys.stderr)
    assert list(dict.fromkeys(told))[:4] == [Progress("saying 'hey'", done, 3) for done in range(4)]
    assert told[-1] == Progress("epoch 1/4", 40, 40)
    assert logged == ["WARNING: something", "30% of it is done"]


def test_an_endless_line_takes_little_memory():
    reader = BarReader(lambda _: None, lambda _: None)
    for _ in range(1000):
        reader.write("x" * 1000)
    assert len(reader._line) <= 400
