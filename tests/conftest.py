"""For every test: its place in the order, seeded random numbers, restored afterwards, and few threads."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

SEED = 20
os.environ["KWS_VOICES"] = os.environ["KWS_DATA"] = os.devnull
"""No test hears the voices and corpora that the person who runs it has fetched; its processes do neither."""
MAX_THREADS = 2
"""More do not help models this small, and the tests' own processes need cores too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no process is left with one when the others are done."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> Iterator[None]:
    """Limit torch, where a collected test has loaded it."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, MAX_THREADS))
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """Start each test from the same random state, and leave none behind for the next."""
    torch = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = None if torch is None else torch.get_rng_state()
    random.seed(SEED)
    np.random.seed(SEED)
    if torch is not None:
        torch.manual_seed(SEED)
    yield
    random.setstate(python_state)
    np.random.set_state(numpy_state)
    if torch is not None:
        torch.set_rng_state(torch_state)
