"""The comparison of languages: finished runs are not run again, and all are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import languages, short_runs
from benchmarks.languages import CHOICES, KIND
from kws.workflows.pretrain import PretrainSummary


def row(choice: str, edits: int) -> dict[str, object]:
    return {
        "run": f"{choice}-3000-6000",
        "choice": choice,
        "settings": [],
        "steps": 3000,
        "train_hours": 17.0,
        "edits": {"english test": {"a": [edits, 100], "b": [edits, 100]}},
    }


def test_finished_runs_are_not_run_again_and_all_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(short_runs, "RESULTS", tmp_path)
    monkeypatch.setattr(languages, "make_mandarin", lambda *_: None)
    monkeypatch.setattr(
        languages, "measure", lambda run, *_: {"english test": {"a": [20, 100], "b": [20, 100]}}
    )
    asked: list[str] = []

    def pretrain(recipe: Path, run: Path, *_: object) -> PretrainSummary:
        asked.append(run.name)
        return PretrainSummary(run, {"steps": 3000, "train_hours": 17.0, "config_hash": "abc", "wall_s": 5})

    monkeypatch.setattr(languages, "pretrain", pretrain)
    monkeypatch.setattr(languages, "settings", lambda *_: [])
    monkeypatch.setattr("sys.argv", ["languages.py", "--data", str(tmp_path), "--work", str(tmp_path)])
    first, *others = CHOICES
    short_runs.keep(KIND, row(first, 10))
    for _ in range(2):
        languages.main()
        lines = capsys.readouterr().out.splitlines()[2:]
        assert lines[0] == f"| {first} | 3000 | 17.0 | – | 10.0 (10.0–10.0) | – | – |"
        assert lines[1:] == [
            f"| {choice} | 3000 | 17.0 | – | 20.0 (20.0–20.0) | – | – |" for choice in others
        ]
    assert asked == [f"{choice}-3000-6000".replace(" ", "_") for choice in others]
