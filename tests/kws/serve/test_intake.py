"""What is read ahead of its answer: bounded, in order, and audio in as few pieces as it can be heard in."""

from __future__ import annotations

import asyncio
import json

import pytest

from kws.serve.intake import MOST_AHEAD_BYTES, AudioPiece, Intake
from kws.serve.messages import MessageError
from kws.serve.metrics import Metrics
from kws.serve.settings import ServeLimits

LIMITS = ServeLimits()
CHUNK = bytes(1280)  # 40 ms


def chunk(pcm: bytes = CHUNK, timestamp: int | None = None, rate: int = 16_000) -> bytes:
    data = {"rate": rate, "width": 2, "channels": 1, "timestamp": timestamp}
    return (
        json.dumps({"type": "audio-chunk", "data": data, "payload_length": len(pcm)}).encode() + b"\n" + pcm
    )


def taken(data: bytes, end: bool = True, limits: ServeLimits = LIMITS) -> list:
    """Return what is taken once all that may be read ahead has been."""

    async def all_of_it() -> list:
        reader = asyncio.StreamReader(limit=limits.max_header_bytes)
        reader.feed_data(data)
        if end:
            reader.feed_eof()
        intake = Intake(reader, limits, Metrics())
        found = []
        while True:
            await asyncio.sleep(0.01)
            try:
                item = await asyncio.wait_for(intake.take(), 5)
            except MessageError as error:
                return [*found, error]
            if item is None:
                return found
            found.append(item)

    return asyncio.run(all_of_it())


def test_audio_that_waited_is_one_piece_up_to_a_turn():
    found = taken(chunk() * 10)
    assert [piece.length_s for piece in found] == [0.24, 0.16]
    assert b"".join(piece.pcm for piece in found) == CHUNK * 10


def test_messages_keep_their_order_and_part_the_audio():
    found = taken(
        chunk() * 2 + b'{"type": "detect"}\n' + chunk() + chunk(rate=48_000) + b'{"type": "ping"}\n'
    )
    told = [item.length_s if isinstance(item, AudioPiece) else item.type for item in found]
    assert told[:3] == [0.08, "detect", 0.04] and told[4:] == ["ping"]
    assert found[3].form.rate_hz == 48_000


def test_a_pause_in_the_time_stamps_parts_the_audio():
    stamps = [0, 40, 80, 2000, 2041, None]
    found = taken(b"".join(chunk(timestamp=stamp) for stamp in stamps))
    assert [(piece.timestamp_ms, round(piece.length_s, 2)) for piece in found] == [(0, 0.12), (2000, 0.12)]


def test_an_error_comes_after_all_that_was_sent_before_it():
    first, error = taken(chunk() + b"garbage\n" + chunk())
    assert isinstance(first, AudioPiece) and isinstance(error, MessageError)


def test_so_much_is_read_ahead_and_no_more():
    async def ahead() -> int:
        reader = asyncio.StreamReader(limit=LIMITS.max_header_bytes)
        reader.feed_data(chunk() * 2000)
        intake = Intake(reader, LIMITS, Metrics())
        for _ in range(400):
            await asyncio.sleep(0)
        waiting = intake._waiting_bytes
        intake.stop()
        return waiting

    assert 0.9 * MOST_AHEAD_BYTES < asyncio.run(ahead()) < 1.1 * MOST_AHEAD_BYTES


def test_bytes_are_waited_for_before_they_are_read_wherever_they_stand():
    """Also those of data, which take the most time to read: a message of data alone is no way around."""
    limits = ServeLimits(max_bytes_per_s=1000.0)  # after a burst of 4000
    data = json.dumps({"x": "a" * 5000}).encode()

    async def phase() -> tuple[str, int]:
        reader = asyncio.StreamReader(limit=limits.max_header_bytes)
        reader.feed_data(f'{{"type": "x", "data_length": {len(data)}}}\n'.encode() + data)
        intake = Intake(reader, limits, Metrics())
        await asyncio.sleep(0.05)
        found = intake._phase, len(intake._waiting)
        assert intake.overdue(intake.phase_since_s + 1000) == "", "it is the service that waits"
        intake.stop()
        return found

    assert asyncio.run(phase()) == ("waits", 0)


def test_questions_have_an_allowance_of_their_own():
    """An answer costs more than a piece of audio: who asks and asks is answered slowly."""
    limits = ServeLimits(max_requests_per_s=1.0)  # after a burst of five

    async def answered() -> int:
        reader = asyncio.StreamReader(limit=limits.max_header_bytes)
        reader.feed_data(b'{"type": "describe"}\n' * 50)
        intake = Intake(reader, limits, Metrics())
        found = 0
        while True:
            try:
                await asyncio.wait_for(intake.take(), 0.2)
            except asyncio.TimeoutError:
                intake.stop()
                return found
            found += 1

    assert asyncio.run(answered()) == 5


def test_reading_ends_where_it_is_stopped_and_what_was_read_is_still_taken():
    async def stopped() -> list:
        reader = asyncio.StreamReader()
        reader.feed_data(chunk())
        intake = Intake(reader, LIMITS, Metrics())
        await asyncio.sleep(0.01)
        intake.stop()
        return [await intake.take(), await asyncio.wait_for(intake.take(), 5)]

    piece, end = asyncio.run(stopped())
    assert isinstance(piece, AudioPiece) and end is None


@pytest.mark.parametrize(("num_bytes", "reason"), [(0, "silent"), (5, "slow"), (len(chunk()), "idle")])
def test_each_phase_has_its_own_time(num_bytes: int, reason: str):
    async def told() -> list[str]:
        limits = ServeLimits(first_message_s=1, message_s=2, idle_s=3)
        reader = asyncio.StreamReader()
        reader.feed_data(chunk()[:num_bytes])
        intake = Intake(reader, limits, Metrics())
        await asyncio.sleep(0.01)
        limit_s = {"silent": 1, "slow": 2, "idle": 3}[reason]
        found = [intake.overdue(intake.phase_since_s + limit_s + late_s) for late_s in (-0.1, 0.1)]
        intake.stop()
        return found

    assert asyncio.run(told()) == ["", reason]
