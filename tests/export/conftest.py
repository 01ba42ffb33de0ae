"""Exported files, each made once for all tests: tracing takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from tests.support.runs import write_run

Exported = Callable[[str], Path]
Tamper = Callable[[onnx.ModelProto], None]
DEFAULT_SEED = 3


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return a function from the name of a head to an exported tiny run; only read what it returns."""
    from export.to_onnx import export

    made: dict[str, Path] = {}

    def get(head: str) -> Path:
        if head not in made:
            depth = 2 if head == "conv" else 1
            run = write_run(tmp_path_factory.mktemp(head) / "run", head, depth=depth, smoothing_frames=2)
            made[head] = export(run)
        return made[head]

    return get


@pytest.fixture(scope="session")
def default_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the exported default model; after ``torch.manual_seed(DEFAULT_SEED)`` it is built alike."""
    from export import benchmark

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(DEFAULT_SEED)
        return benchmark.default_detector(tmp_path_factory.mktemp("default") / "default.onnx")


@pytest.fixture
def traced_before(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tamper], None]:
    """Return a function after which exporting ``write_run(..., "conv")`` traces nothing anew.

    It takes the graph that was traced for ``exported("conv")``, changed by the given function.
    """
    from export import to_onnx

    def use(tamper: Tamper) -> None:
        graph = onnx.load(str(exported("conv")))
        tamper(graph)
        monkeypatch.setattr(to_onnx, "_trace", lambda model, chunk_samples, opset: graph)

    return use
