"""The commands as functions: what `import kws` costs, and a program that uses them."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import get_type_hints

import pytest

import kws
from kws.workflows.notices import LOGGERS, quiet_libraries
from tests.support.training import noise, spoken, write_wavs

PROGRAM = Path(__file__).parents[2] / "examples" / "train_and_detect.py"
FUNCTIONS = [
    "bench",
    "enroll",
    "evaluate",
    "export",
    "prepare",
    "pretrain",
    "probe",
    "quickstart",
    "record",
    "study",
    "synthesize",
    "train",
]


def test_importing_the_package_is_cheap_and_loads_nothing_of_training():
    code = (
        "import sys, time; before = time.process_time(); import kws; cost = time.process_time() - before\n"
        "heavy = {'torch', 'numpy', 'onnxruntime', 'lightning', 'scipy', 'librosa'} & set(sys.modules)\n"
        "print(cost, *heavy)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(said.split()[0]) < 0.3 and len(said.split()) == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_command_is_a_function_that_returns_a_frozen_dataclass(name: str):
    function = getattr(kws, name)
    module = sys.modules[inspect.unwrap(function).__module__]
    returned = inspect.signature(inspect.unwrap(function)).return_annotation
    found = get_type_hints(inspect.unwrap(function), {**vars(module), **_typing_only(module)})["return"]
    assert dataclasses.is_dataclass(found) and found.__dataclass_params__.frozen, returned
    assert inspect.getdoc(function)


def _typing_only(module: object) -> dict[str, object]:
    """Return what a module imports for the type checker alone."""
    import ast
    import importlib

    names: dict[str, object] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):  # type: ignore[arg-type]
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] in ("kws", "export", "data_prep")
        ):
            for alias in node.names:
                source = importlib.import_module(node.module)
                names.setdefault(alias.name, getattr(source, alias.name, None))
    return names


def test_the_callers_log_levels_and_warnings_stay_as_they_were():
    logger = logging.getLogger(LOGGERS[0])
    logger.setLevel(logging.DEBUG)
    filters = list(warnings.filters)
    with quiet_libraries():
        assert logger.level == logging.ERROR and warnings.filters != filters
    assert logger.level == logging.DEBUG and warnings.filters == filters
    logging.getLogger("kws").setLevel(logging.INFO)  # who wants to hear what is done hears the libraries, too
    try:
        with quiet_libraries():
            assert logger.level == logging.DEBUG
    finally:
        logging.getLogger("kws").setLevel(logging.NOTSET)
        logger.setLevel(logging.NOTSET)


@pytest.mark.slow
def test_a_program_goes_from_recordings_to_detections_and_prints_nothing_else(tmp_path: Path):
    lines = [line for line in PROGRAM.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= 15
    write_wavs(tmp_path / "recordings", [spoken(seed=seed) for seed in range(6)])
    write_wavs(tmp_path / "speech", [noise(20, seed) for seed in range(6)])
    write_wavs(tmp_path / "test", [spoken(seed=20 + seed) for seed in range(2)])
    words = ["tone", *(str(tmp_path / name) for name in ("recordings", "speech", "test", "run"))]
    shorter = PROGRAM.read_text("utf-8").replace(
        "[speech], output)",
        "[speech], output, num_synthetic=0, "
        'overrides=["model.depth=2", "train.epochs=1", "train.steps_per_epoch=15"])',
    )
    assert "num_synthetic=0" in shorter
    done = subprocess.run(
        [sys.executable, "-c", shorter, *words], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    figures, *heard = done.stdout.splitlines()
    assert figures.startswith("misses 0.0 %") and ", false accepts " in figures
    assert len(heard) == 2 and all(line.startswith("tone at 0.") for line in heard)
    assert done.stderr == ""
