"""Whose turn it is: live audio before that of clients who send faster than it sounds."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kws.serve.workers import Workers


def test_who_is_less_far_ahead_has_its_turn_first():
    async def order() -> list[str]:
        workers, gate, done = Workers(1), threading.Event(), []
        first = asyncio.create_task(workers.run(gate.wait))
        await asyncio.sleep(0)
        ahead = {"flood": 20.0, "live": 0.0, "file": 5.0, "live too": 0.0}
        others = [
            asyncio.create_task(workers.run(lambda name=name: done.append(name), ahead_s))
            for name, ahead_s in ahead.items()
        ]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *others)
        workers.close()
        return done

    assert asyncio.run(order()) == ["live", "live too", "file", "flood"]


def test_a_turn_that_is_given_up_and_a_call_that_fails_free_the_thread():
    async def still_runs() -> int:
        workers, gate = Workers(1), threading.Event()
        first = asyncio.create_task(workers.run(gate.wait))
        await asyncio.sleep(0)
        given_up = asyncio.create_task(workers.run(lambda: 1))
        await asyncio.sleep(0)
        given_up.cancel()
        gate.set()
        await first
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)
        found = await asyncio.wait_for(workers.run(lambda: 7), 5)
        workers.close()
        return found

    assert asyncio.run(still_runs()) == 7
