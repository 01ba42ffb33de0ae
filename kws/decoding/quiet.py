"""Keeps what a C library writes to the terminal away from it, around a single call into that library."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0
_kept = -1


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere while a call lasts; threads may be inside at the same time.

    mpg123, inside libsndfile, writes notices about damaged MP3 there, past ``sys.stderr``.
    """
    global _depth, _kept
    with _lock:
        _depth += 1
        if _depth == 1:
            try:
                _kept = os.dup(2)
            except OSError:  # a service without a standard error
                _kept = -1
            else:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _kept >= 0:
                os.dup2(_kept, 2)
                os.close(_kept)
                _kept = -1
