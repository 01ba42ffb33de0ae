"""Pretraining is tried on one thread and five short files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.pretraining import loop as module
from kws.pretraining.config import PretrainConfig
from tests.support.pretraining import tiny_recipe, write_speech
from tests.support.training import one_thread


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``speech.jsonl``: five short files with phones; the last two are of split dev."""
    return write_speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """Four steps with every random part switched on."""
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    return tiny_recipe(folder / "speech.jsonl")
