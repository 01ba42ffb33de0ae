"""The reading side of one client: its messages in turn, a bounded number of bytes ahead of their answers.

Audio that has come in while a client waited for its turn is handed on in one piece: a model reads its weights
once for all of it, so that a service with too much to do gets more done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from wyoming.event import Event

from kws.serve.allowance import Allowance
from kws.serve.messages import read_message
from kws.serve.metrics import Metrics
from kws.serve.pcm import SLICE_S, PcmFormat, read_format
from kws.serve.settings import ServeLimits

MOST_AHEAD_BYTES = 128 * 1024
"""Audio that is read and not yet heard; after that the client waits."""
MESSAGE_BYTES = 512
"""What a message counts at least."""
LATEST_MS = 2**53
"""Time stamps beyond this are none: JSON does not carry them exactly."""
JUMP_MS = 20
"""Time stamps that are off by more are of a pause, and those pieces are heard apart."""

Phase = Literal["first", "idle", "message", "waits"]


@dataclass(frozen=True, slots=True)
class AudioPiece:
    """Samples of one or more messages."""

    form: PcmFormat
    pcm: bytes
    timestamp_ms: int | None
    """Of the first sample, by the client's clock."""

    @property
    def length_s(self) -> float:
        """How long it sounds, in seconds."""
        return self.form.seconds(len(self.pcm))

    def goes_on_in(self, other: AudioPiece) -> bool:
        """Tell whether another piece follows without a gap, and both are short enough to be one."""
        if other.form != self.form or self.length_s + other.length_s > SLICE_S:
            return False
        if other.timestamp_ms is None or self.timestamp_ms is None:
            return other.timestamp_ms is None
        return abs(self.timestamp_ms + 1000 * self.length_s - other.timestamp_ms) <= JUMP_MS


class Intake:
    """Reads one client's messages in a task of its own.

    Args:
        reader: its limit is that of a header.
        limits: of the client.
        metrics: of the service.
    """

    def __init__(self, reader: asyncio.StreamReader, limits: ServeLimits, metrics: Metrics) -> None:
        self._reader, self._limits, self._metrics = reader, limits, metrics
        self._messages = Allowance(limits.max_messages_per_s, 2 * limits.max_messages_per_s)
        self._requests = Allowance(limits.max_requests_per_s, 5 * limits.max_requests_per_s)
        self._bytes = Allowance(limits.max_bytes_per_s, 4 * limits.max_bytes_per_s)
        self._waiting: deque[Event | AudioPiece] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._error: BaseException | None = None
        self._enter("first")
        self._task = asyncio.create_task(self._read())

    def _enter(self, phase: Phase) -> None:
        """Begin a phase, which may have a time limit."""
        self._phase = phase
        self.phase_since_s = asyncio.get_running_loop().time()

    def overdue(self, now_s: float) -> str:
        """Return what is wrong with a client whose phase takes too long, "" where nothing is."""
        longest_s, reason = {
            "first": (self._limits.first_message_s, "silent"),
            "idle": (self._limits.idle_s, "idle"),
            "message": (self._limits.message_s, "slow"),
            "waits": (float("inf"), ""),
        }[self._phase]
        return reason if now_s - self.phase_since_s > longest_s else ""

    def stop(self) -> None:
        """Read no more; what has been read can still be taken."""
        self._task.cancel()

    async def take(self) -> Event | AudioPiece | None:
        """Wait for the next message, or audio of several; None where the client has left or reading stopped.

        Raises:
            MessageError: the client sent what is no message, after all that was taken before.
            OSError, asyncio.IncompleteReadError: the connection broke.
        """
        while not self._waiting:
            if self._task.done():
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        found = self._pop()
        if not isinstance(found, AudioPiece):
            return found
        parts, whole = [found.pcm], found
        while self._waiting and isinstance(following := self._waiting[0], AudioPiece):
            if not whole.goes_on_in(following):
                break
            self._pop()
            parts.append(following.pcm)
            whole = AudioPiece(found.form, b"".join(parts), found.timestamp_ms)
        return whole

    def _pop(self) -> Event | AudioPiece:
        found = self._waiting.popleft()
        self._waiting_bytes -= _cost(found)
        self._taken.set()
        return found

    async def _read(self) -> None:
        """Read until the client leaves or errs."""
        try:
            while await self._read_one():
                await asyncio.sleep(0)  # a client whose messages are all there already is not read on alone
        except Exception as error:  # whoever takes the next message gets it
            self._error = error
        finally:
            asyncio.get_running_loop().call_soon(self._changed.set)  # when the task is done

    async def _spend(self, num_bytes: int) -> None:
        """Wait until the client may send so many bytes."""
        self._enter("waits")
        await self._bytes.take(num_bytes)
        self._enter("message")

    async def _read_one(self) -> bool:
        """Read a message and put it to those that wait; returns False where the client has left."""
        message = await read_message(self._reader, self._limits, lambda: self._enter("message"), self._spend)
        if message is None:
            return False
        self._enter("waits")
        self._metrics.add("kws_messages_total")
        await self._messages.take(1)
        item: Event | AudioPiece = message
        most_bytes = 0  # what is no audio waits alone: its size has other bounds
        if message.type == "audio-chunk":
            form, pcm = read_format(message.data), message.payload or b""
            item, most_bytes = AudioPiece(form, pcm, timestamp_of(message.data)), MOST_AHEAD_BYTES
        else:
            await self._requests.take(1)
        while self._waiting_bytes > most_bytes:
            self._taken.clear()
            await self._taken.wait()
        self._waiting.append(item)
        self._waiting_bytes += _cost(item)
        self._changed.set()
        self._enter("idle")
        return True


def _cost(item: Event | AudioPiece) -> int:
    """Return what a message counts of the bytes that may wait."""
    return MESSAGE_BYTES + (len(item.pcm) if isinstance(item, AudioPiece) else 0)


def timestamp_of(data: dict[str, Any]) -> int | None:
    """Return the time of a message in milliseconds, None where it has no usable one."""
    value = data.get("timestamp")
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST_MS else None
    )
