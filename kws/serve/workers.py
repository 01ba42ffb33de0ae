"""Threads that models run in, so that the event loop goes on reading while they do."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Workers:
    """A few threads; each client waits for its call, so that no more calls wait than there are clients.

    Args:
        num_threads: models that run at once.
    """

    def __init__(self, num_threads: int) -> None:
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="kws-serve")
        self._num_free = num_threads
        self._waiting: list[tuple[float, int, asyncio.Future[None], list[bool]]] = []
        self._numbers = itertools.count()

    async def run(self, call: Callable[[], Result], ahead_s: float = 0.0) -> Result:
        """Call in a thread and return what that returns.

        Args:
            call: to be done.
            ahead_s: how far the client is ahead of the time that its audio sounds, in seconds; who is less
                so has its turn first.
        """
        loop = asyncio.get_running_loop()
        if self._num_free:
            self._num_free -= 1
        else:
            turn: asyncio.Future[None] = loop.create_future()
            granted: list[bool] = []
            heapq.heappush(self._waiting, (ahead_s, next(self._numbers), turn, granted))
            try:
                await turn
            except BaseException:  # the client is gone
                if granted:
                    self._free()
                raise
        try:
            return await loop.run_in_executor(self._pool, call)
        finally:
            self._free()

    def _free(self) -> None:
        """Give a thread to the next that waits."""
        while self._waiting:
            _, _, turn, granted = heapq.heappop(self._waiting)
            if not turn.done():
                granted.append(True)
                turn.set_result(None)
                return
        self._num_free += 1

    def close(self) -> None:
        """End the threads; what runs is waited for."""
        self._pool.shutdown(wait=True, cancel_futures=True)
