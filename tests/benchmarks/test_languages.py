"""The comparison of languages: a finished run is found again by name, and read with intervals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import keywords, languages
from benchmarks.languages import CHOICES, KIND


def row(choice: str, edits: int) -> dict[str, object]:
    return {
        "cell": f"{choice}-3000-6000",
        "choice": choice,
        "settings": [],
        "steps": 3000,
        "train_hours": 17.0,
        "edits": {"english test": {"a": [edits, 100], "b": [edits, 100]}},
    }


def test_each_finished_run_is_found_again_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(languages, "RESULTS", tmp_path)
    monkeypatch.setattr(keywords, "RESULTS", tmp_path)
    assert languages.finished() == {}
    rows = [row(choice, 10 * number) for number, choice in enumerate(CHOICES, start=1)]
    for entry in rows:
        keywords.append_row(entry, KIND)
    assert list(languages.finished().values()) == rows
    assert (tmp_path / f"{KIND}.jsonl").read_text("utf-8").splitlines() == list(map(json.dumps, rows))
    table = list(languages.table(rows))
    assert len(table) == 2 + len(CHOICES)
    for number, (choice, line) in enumerate(zip(CHOICES, table[2:], strict=True), start=1):
        assert line.startswith(f"| {choice} | 3000 | 17.0 | – | {10 * number}.0 ({10 * number}.0–")
