"""Threads that models run in, so that the event loop goes on reading while they do."""

from __future__ import annotations

import asyncio
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

    async def run(self, call: Callable[[], Result]) -> Result:
        """Call in a thread and return what that returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """End the threads; what runs is waited for."""
        self._pool.shutdown(wait=True, cancel_futures=True)
