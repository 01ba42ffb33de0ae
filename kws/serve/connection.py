"""One client: its messages in turn, each answered before the next is read, so that nothing queues up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, NotDetected
from wyoming.wake import Detection as WakeDetection

from kws.errors import KwsError
from kws.serve.allowance import Allowance
from kws.serve.description import info_of
from kws.serve.library import ModelStore
from kws.serve.logs import log
from kws.serve.messages import MessageError, read_message
from kws.serve.metrics import Metrics
from kws.serve.pcm import read_format
from kws.serve.settings import ServeLimits
from kws.serve.streams import AudioStream, StreamDetection
from kws.serve.workers import Workers

Result = TypeVar("Result")


MOST_NAMES = 64
"""Names that a client may choose; a longer list is no choice."""
LONGEST_NAME = 200
"""Characters of a name."""
LATEST_MS = 2**53
"""Time stamps beyond this are none: JSON does not carry them exactly."""

Phase = Literal["first", "idle", "message", "answer", "busy"]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all clients of a service have in common."""

    library: ModelStore
    workers: Workers
    limits: ServeLimits
    metrics: Metrics = field(default_factory=Metrics)


class Connection:
    """One client from its connection to its end.

    Args:
        number: of the client, for the log.
        reader: its messages; its limit is that of a header.
        writer: the answers.
        shared: what all clients have.
    """

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shared: Shared
    ) -> None:
        self.number = number
        self._reader, self._writer, self._shared = reader, writer, shared
        limits = shared.limits
        self._messages = Allowance(limits.max_messages_per_s, 2 * limits.max_messages_per_s)
        self._bytes = Allowance(limits.max_bytes_per_s, 4 * limits.max_bytes_per_s)
        self._audio = Allowance(limits.max_speed, limits.burst_s)
        self._names: list[str] | None = None
        self._stream: AudioStream | None = None
        self._expired = ""
        self._stopping = False
        self._enter("first")

    @property
    def is_streaming(self) -> bool:
        """Audio has begun and not ended."""
        return self._stream is not None

    @property
    def idle_since_s(self) -> float:
        """Since when the client has been in the present phase, by the clock of the event loop."""
        return self._phase_since_s

    def _enter(self, phase: Phase) -> None:
        """Begin a phase, which has its own time limit."""
        self._phase = phase
        self._phase_since_s = asyncio.get_running_loop().time()

    def expire(self, now_s: float) -> None:
        """End the connection where the phase has taken too long."""
        limits = self._shared.limits
        longest_s = {
            "first": limits.first_message_s,
            "idle": limits.idle_s,
            "message": limits.message_s,
            "answer": limits.message_s,
        }.get(self._phase)
        if longest_s is not None and now_s - self._phase_since_s > longest_s:
            self.end(
                {"first": "silent", "message": "slow", "answer": "reads nothing"}.get(self._phase, "idle")
            )

    def end(self, reason: str) -> None:
        """End the connection at once; what is being read or written fails."""
        self._expired = self._expired or reason
        self._writer.transport.abort()

    def end_when_answered(self) -> None:
        """End the connection as soon as what it has sent so far is answered."""
        self._stopping = True
        if self._phase in ("first", "idle", "message"):
            self.end("stop")

    async def run(self) -> None:
        """Answer messages until the client leaves or is closed."""
        reason = ""
        try:
            while not self._stopping:
                message = await self._next()
                if message is None:
                    break
                await self._answer(message)
                await asyncio.sleep(0)  # a client whose messages are all there already is not read on alone
        except MessageError as error:
            reason = error.kind
            log("client refused", logging.WARNING, client=self.number, error=str(error))
            await self._last_word(str(error))
        except (asyncio.IncompleteReadError, OSError):
            reason = self._expired or "gone"
        except Exception as error:  # one client never ends the service
            reason = "fault"
            log("client failed", logging.ERROR, client=self.number, error=repr(error))
        finally:
            self._writer.close()
        reason = self._expired or reason
        if reason:
            self._shared.metrics.add("kws_refused_total", reason=reason)
        level = logging.WARNING if self._expired and self._expired != "stop" else logging.INFO
        log("client left", level, client=self.number, reason=reason or "done")

    async def _next(self) -> Event | None:
        """Read a message, and wait where the client sends more than it may."""
        message = await read_message(self._reader, self._shared.limits, lambda: self._enter("message"))
        self._enter("busy")
        if message is not None:
            self._shared.metrics.add("kws_messages_total")
            await self._messages.take(1)
            await self._bytes.take(len(message.payload or b""))
        return message

    async def _answer(self, message: Event) -> None:
        """Do what a message asks for; one of an unknown type is passed over, as the protocol wants it."""
        if message.type == "audio-chunk":
            await self._hear(message)
        elif message.type == "audio-start":
            await self._finish()
            form = read_format(message.data)
            self._stream = AudioStream(form, self._names)
            self._stream.start_at(_timestamp(message.data))
        elif message.type == "audio-stop":
            await self._finish()
        elif Detect.is_type(message.type):
            await self._choose(message.data.get("names"))
        elif Describe.is_type(message.type):
            await self._send(info_of(self._shared.library.catalog))
        elif Ping.is_type(message.type):
            text = message.data.get("text")
            await self._send(Pong(text=text if isinstance(text, str) else None))
        self._enter("idle")

    async def _choose(self, names: Any) -> None:
        """Take the names that a client wants to hear of; unknown ones are said, and wait for their model."""
        if names is not None and not (
            isinstance(names, list)
            and len(names) <= MOST_NAMES
            and all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names)
        ):
            raise MessageError(f"`names` is no list of up to {MOST_NAMES} names", kind="names")
        self._names = names or None
        if self._stream is not None:
            self._stream.choose(self._names)
        known = self._shared.library.catalog.models
        unknown = [name for name in self._names or () if name not in known]
        if unknown:
            log("unknown names", logging.WARNING, client=self.number, names=unknown)
            told = ", ".join(map(repr, unknown))
            await self._send(
                Error(f"unknown: {told}; known are {', '.join(map(repr, known))}", "unknown-name")
            )

    async def _hear(self, message: Event) -> None:
        """Hear a piece of audio, a slice at a time."""
        form = read_format(message.data)
        stream, catalog = self._stream, self._shared.library.catalog
        if stream is None:
            stream = self._stream = AudioStream(form, self._names)
        if stream.form != form:
            await self._tell(await self._run(lambda: stream.change_form(form, catalog)))
        timestamp_ms = _timestamp(message.data)
        for piece in form.slices(message.payload or b""):
            self._enter("busy")
            length_s = form.seconds(len(piece))
            await self._audio.take(length_s)
            await self._tell(await self._run(_push(stream, piece, self._shared.library, timestamp_ms)))
            self._shared.metrics.add("kws_audio_seconds_total", length_s)
            timestamp_ms = None

    async def _finish(self) -> None:
        """End a stream, and say so where nothing was heard in it."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        await self._tell(await self._run(lambda: stream.finish(self._shared.library.catalog)))
        if not stream.num_detections:
            self._shared.metrics.add("kws_not_detected_total")
            await self._send(NotDetected())

    async def _run(self, call: Callable[[], Result]) -> Result:
        """Call in a worker thread, and count how long that took."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        result = await self._shared.workers.run(call)
        self._shared.metrics.time(loop.time() - begun_s)
        return result

    async def _tell(self, heard: list[StreamDetection]) -> None:
        """Tell the client what was heard."""
        for item in heard:
            self._shared.metrics.add("kws_detections_total", name=item.name)
            told = {"name": item.name, "score": item.score, "time_ms": item.time_ms}
            log("detection", client=self.number, **told)
            await self._send(WakeDetection(name=item.name, timestamp=item.time_ms))

    async def _send(self, message: Eventable) -> None:
        """Send a message, and wait until the client has taken what was sent before."""
        self._enter("answer")
        await async_write_event(message.event(), self._writer)
        self._enter("busy")

    async def _last_word(self, text: str) -> None:
        """Tell the client why its connection ends, if it still listens."""
        try:
            await asyncio.wait_for(self._send(Error(text, "refused")), timeout=1)
        except (OSError, asyncio.TimeoutError, KwsError):
            return


def _push(
    stream: AudioStream, piece: bytes, library: ModelStore, timestamp_ms: int | None
) -> Callable[[], list[StreamDetection]]:
    """Return the call that hears a piece with the models of the moment when its turn comes."""
    return lambda: stream.push(piece, library.catalog, timestamp_ms)


def _timestamp(data: dict[str, Any]) -> int | None:
    """Return the time of a message in milliseconds, None where it has no usable one."""
    value = data.get("timestamp")
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST_MS else None
    )
