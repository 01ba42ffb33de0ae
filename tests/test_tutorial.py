"""The tutorial notebook: its cells run on tiny data, it holds no outputs, and the site shows it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.support.texts import REPOSITORY, sentences

NOTEBOOK = REPOSITORY / "examples" / "tutorial.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
SMALLER = {
    "NUM_POSITIVES, NUM_NEGATIVES = 80, 320": "NUM_POSITIVES, NUM_NEGATIVES = 12, 16",
    '["train.epochs=4"]': '["train.epochs=1", "train.steps_per_epoch=2", "model.depth=2"]',
}


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_notebook_holds_no_outputs_and_short_sentences():
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert len(code) >= 6
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    told = "\n\n".join(source(cell) for cell in CELLS if cell["cell_type"] == "markdown")
    assert [said for said in sentences(told) if len(said.split()) > 35] == []
    assert all(len(line) <= 110 for cell in code for line in source(cell).splitlines())


@pytest.mark.slow
def test_the_cells_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import matplotlib.pyplot

    matplotlib.use("Agg")
    played: list[tuple[int, int]] = []
    shown = ModuleType("IPython.display")
    shown.Audio = lambda samples, rate: played.append((len(samples), rate))  # type: ignore[attr-defined]
    shell = ModuleType("IPython")
    shell.version_info, shell.get_ipython = (8, 24), lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    monkeypatch.chdir(tmp_path)
    program = "\n".join(source(cell) for cell in CELLS if cell["cell_type"] == "code")
    for large, small in SMALLER.items():
        assert large in program
        program = program.replace(large, small)
    names: dict[str, Any] = {}
    exec(compile(program, str(NOTEBOOK), "exec"), names)
    printed = capsys.readouterr().out
    assert "stored threshold: misses " in printed and "1 per hour: misses " in printed
    assert played and played[0][0] > 3_000 and played[0][1] == 16_000
    assert names["axes"].lines[0].get_xdata().size == len(names["found"].det) > 0
    assert names["summary"].duration_s == pytest.approx(played[0][0] / 16_000, abs=0.01)
    assert (tmp_path / "tutorial" / "run" / "model.onnx").is_file()


def test_the_site_shows_the_cells():
    spec = importlib.util.spec_from_file_location("site_hook", REPOSITORY / ".ci" / "site.py")
    assert spec is not None and spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    docs = REPOSITORY / "docs"
    path = docs / "guide" / "tutorial.md"
    page = SimpleNamespace(file=SimpleNamespace(abs_src_path=str(path)))
    made = hook.on_page_markdown(
        path.read_text("utf-8"), page=page, config={"docs_dir": str(docs)}, files=None
    )
    for cell in CELLS:
        assert source(cell) in made
    assert made.count("```python\n") == sum(cell["cell_type"] == "code" for cell in CELLS)
    assert "notebook:" not in made
