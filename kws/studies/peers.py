"""Detectors of others in a study: what is told to the function that a recipe names, and what it gives back.

A choice ``peer: module:function`` is neither trained nor enrolled here: the function scores the same test
audio after it has had the same recordings, and misses are counted by the same protocol. The product holds no
peer; ``benchmarks/peers`` shows how they look.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kws.errors import ConfigError
from kws.studies.held_out import UnseenAudio
from kws.studies.scoring import TestScores


@dataclass(frozen=True)
class PeerRequest:
    """What a peer is asked for.

    Attributes:
        keyword: what it listens for.
        seed: of what it draws.
        positives: manifest of the drawn recordings; None is none.
        negatives: speech to train on.
        noise: noise to train on.
        test: what it is tested on.
        files: folder of its own files; None where the recipe names none.
        cache: folder that it may keep things in, which cells share.
    """

    keyword: str
    seed: int
    positives: Path | None
    negatives: tuple[Path, ...]
    noise: tuple[Path, ...]
    test: UnseenAudio
    files: Path | None
    cache: Path


Peer = Callable[[PeerRequest], TestScores]
"""Scores the test audio of a request."""


def load_peer(name: str) -> Peer:
    """Import a peer.

    Args:
        name: ``module:function``; the module is found where the command is called, or is installed.
    Raises:
        ConfigError: the name is of another form, or there is no such module or function.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise ConfigError(f"peer: got {name!r}, expected `module:function`")
    try:
        with _beside_the_caller():
            return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(
            f"peer: {name}: {error}; call the command where the module lies, and install what it needs"
        ) from error


@contextmanager
def _beside_the_caller() -> Iterator[None]:
    """Let modules be found in the working folder too, as an installed command does not look there."""
    place = str(Path.cwd())
    sys.path.append(place)
    try:
        yield
    finally:
        sys.path.remove(place)


def peer_fingerprint(name: str) -> str:
    """Return a hash of the module of a peer, so that another version of it is another cell."""
    source = inspect.getsource(inspect.getmodule(load_peer(name)) or importlib.import_module("kws"))
    return hashlib.sha256(source.encode()).hexdigest()[:16]
