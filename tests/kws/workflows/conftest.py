"""Recordings that `kws train` is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.training import noise, one_thread, spoken, tiny_weights, two_steps_suffice, write_wavs


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tone`` and ``other`` (six words each), ``speech``, ``noise``, and ``encoder``: random weights."""
    folder = tmp_path_factory.mktemp("recordings")
    write_wavs(folder / "tone", [spoken(seed=seed) for seed in range(6)])
    write_wavs(folder / "other", [spoken(400, seed) for seed in range(6)])
    write_wavs(folder / "speech", [noise(3, seed) for seed in range(6)])
    write_wavs(folder / "noise", [noise(2, 50 + seed, 0.1) for seed in range(3)])
    tiny_weights(folder / "encoder")
    return folder


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(autouse=True, scope="module")
def _two_steps_suffice() -> Iterator[None]:
    with two_steps_suffice():
        yield
