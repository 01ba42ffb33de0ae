"""Kept results of the benchmarks: README shows what they say, and no file is larger than allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kws.cli import main

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "benchmarks" / "results" / "keywords"
COMMAND = "kws study benchmarks/keywords.yaml --output benchmarks/results/keywords --report"
LARGEST = 250_000
"""Bytes, by CONTRIBUTING.md."""


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of the table that the command in README prints."""
    recipe = ROOT / "benchmarks" / "keywords.yaml"
    assert main(["study", str(recipe), "--output", str(KEPT), "--report"]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]


def test_the_table_of_readme_is_what_its_command_prints(capsys: pytest.CaptureFixture[str]):
    readme, table = (ROOT / "README.md").read_text("utf-8"), printed(capsys)
    assert COMMAND in readme and "\n".join(table) in readme
    assert [path.name for path in KEPT.iterdir()] == ["results.jsonl"]  # nothing is written


def test_the_chinese_readme_has_the_same_figures(capsys: pytest.CaptureFixture[str]):
    readme = (ROOT / "README.zh.md").read_text("utf-8")
    assert COMMAND in readme
    lines = readme.splitlines()
    start = next(index for index, line in enumerate(lines) if line.count("|") == 7)
    wanted = [cells_of(line)[2:] for line in printed(capsys)[2:]]
    assert [cells_of(line)[2:] for line in lines[start + 2 : start + 2 + len(wanted)]] == wanted
    assert not lines[start + 2 + len(wanted)].startswith("|")


def test_no_file_of_the_benchmarks_is_larger_than_allowed():
    sizes = {path: path.stat().st_size for path in (ROOT / "benchmarks").rglob("*") if path.is_file()}
    assert not [path for path, size in sizes.items() if size > LARGEST and "__pycache__" not in path.parts]
