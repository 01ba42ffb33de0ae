"""How much a client may send: what it saves up to a burst, and how long it waits for more."""

from __future__ import annotations

import asyncio


class Allowance:
    """Fills at a steady rate up to a burst; who takes more than it holds waits until that is made up for.

    Args:
        per_s: what is added per second.
        burst: the most that is held, and what it begins with.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._held = burst
        self._at_s: float | None = None

    def owed_s(self, amount: float, now_s: float) -> float:
        """Take an amount and return how long to wait for it, in seconds."""
        passed_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        self._held = min(self._burst, self._held + passed_s * self._per_s) - amount
        return max(0.0, -self._held / self._per_s)

    async def take(self, amount: float) -> None:
        """Take an amount, and wait where it was not there."""
        wait_s = self.owed_s(amount, asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
