"""What belongs to one thread at a time says so to a second one, and is not pickled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from kws.errors import ConfigError


class OneThread:
    """Base of what holds the state of streams: :class:`kws.Detector` and :class:`kws.DetectorPool`."""

    def __init__(self) -> None:
        self._thread = threading.RLock()  # its holder may take it again

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads out while the state changes.

        Raises:
            ConfigError: another thread is at it.
        """
        if not self._thread.acquire(blocking=False):
            kind = type(self).__name__
            raise ConfigError(
                f"another thread is at this {kind}, which serves one at a time; give each thread its own"
            )
        try:
            yield
        finally:
            self._thread.release()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: an open graph cannot go to another process."""
        kind = type(self).__name__
        raise TypeError(
            f"a {kind} cannot be pickled, as it holds an open graph; open the file in the other process: "
            f"`kws.{kind}(path)`"
        )
