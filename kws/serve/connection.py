"""One client: its messages in turn, each answered before the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, NotDetected
from wyoming.wake import Detection as WakeDetection

from kws.errors import KwsError
from kws.serve.allowance import Allowance
from kws.serve.description import info_of
from kws.serve.intake import AudioPiece, Intake, timestamp_of
from kws.serve.library import ModelStore
from kws.serve.logs import log
from kws.serve.messages import MessageError
from kws.serve.metrics import Metrics
from kws.serve.pcm import read_format
from kws.serve.settings import ServeLimits
from kws.serve.streams import AudioStream, StreamDetection
from kws.serve.workers import Workers

Result = TypeVar("Result")


MOST_NAMES = 64
"""Names that a client may choose; a longer list is no choice."""
LIVE_S = 1.0
"""Audio that comes so far ahead of its time is live: it was held up on its way."""
LONGEST_NAME = 200
"""Characters of a name."""


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
        self._writer, self._shared = writer, shared
        self._intake = Intake(reader, shared.limits, shared.metrics)
        self._audio = Allowance(shared.limits.max_speed, shared.limits.burst_s)
        self._names: list[str] | None = None
        self._stream: AudioStream | None = None
        self._expired = ""
        self._due_s = 0.0
        self._answering_since_s: float | None = None

    @property
    def is_streaming(self) -> bool:
        """Audio has begun and not ended."""
        return self._stream is not None

    @property
    def idle_since_s(self) -> float:
        """Since when the client has done what it does now, by the clock of the event loop."""
        return self._intake.phase_since_s

    def expire(self, now_s: float) -> None:
        """End the connection where the client takes too long to send or to take an answer."""
        reason = self._intake.overdue(now_s)
        since_s = self._answering_since_s
        if since_s is not None and now_s - since_s > self._shared.limits.message_s:
            reason = "reads nothing"
        if reason:
            self.end(reason)

    def end(self, reason: str) -> None:
        """End the connection at once; what is being read or written fails."""
        self._expired = self._expired or reason
        self._writer.transport.abort()

    def end_when_answered(self) -> None:
        """End the connection as soon as what it has sent so far is answered."""
        self._expired = self._expired or "stop"
        self._intake.stop()

    async def run(self) -> None:
        """Answer messages until the client leaves or is closed."""
        reason = ""
        try:
            while (message := await self._intake.take()) is not None:
                if isinstance(message, AudioPiece):
                    await self._hear(message)
                else:
                    await self._answer(message)
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
            self._intake.stop()
            self._writer.close()
        reason = self._expired or reason
        if reason:
            self._shared.metrics.add("kws_refused_total", reason=reason)
        level = logging.WARNING if self._expired and self._expired != "stop" else logging.INFO
        log("client left", level, client=self.number, reason=reason or "done")

    async def _answer(self, message: Event) -> None:
        """Do what a message asks for; one of an unknown type is passed over, as the protocol wants it."""
        if message.type == "audio-start":
            await self._finish()
            form = read_format(message.data)
            self._stream = AudioStream(form, self._names)
            self._stream.start_at(timestamp_of(message.data))
        elif message.type == "audio-stop":
            await self._finish()
        elif Detect.is_type(message.type):
            await self._choose(message.data.get("names"))
        elif Describe.is_type(message.type):
            await self._send(info_of(self._shared.library.catalog))
        elif Ping.is_type(message.type):
            text = message.data.get("text")
            await self._send(Pong(text=text if isinstance(text, str) else None))

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

    async def _hear(self, piece: AudioPiece) -> None:
        """Hear a piece of audio, a slice at a time."""
        form, library, timestamp_ms = piece.form, self._shared.library, piece.timestamp_ms
        stream = self._stream = self._stream or AudioStream(form, self._names)
        if stream.form != form:
            await self._tell(await self._run(lambda: stream.change_form(form, library.catalog)))
        for pcm in form.slices(piece.pcm):
            length_s, stamp, timestamp_ms = form.seconds(len(pcm)), timestamp_ms, None  # of the first slice
            await self._audio.take(length_s)
            self._shared.metrics.add("kws_audio_seconds_total", length_s)
            ahead_s = self._ahead_s(length_s)
            if stream.holds(pcm, library.catalog, stamp):
                continue
            await self._tell(await self._run(_push(stream, pcm, library, stamp), ahead_s))

    async def _finish(self) -> None:
        """End a stream, and say so where nothing was heard in it."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        await self._tell(await self._run(lambda: stream.finish(self._shared.library.catalog)))
        if not stream.num_detections:
            self._shared.metrics.add("kws_not_detected_total")
            await self._send(NotDetected())

    def _ahead_s(self, length_s: float) -> float:
        """Return how far audio of this length is ahead of the time that it sounds; live audio is not."""
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s, now_s) + length_s
        return max(0.0, self._due_s - now_s - LIVE_S)

    async def _run(self, call: Callable[[], Result], ahead_s: float = 0.0) -> Result:
        """Call in a worker thread, and count how long that took."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        result = await self._shared.workers.run(call, ahead_s)
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
        self._answering_since_s = asyncio.get_running_loop().time()
        await async_write_event(message.event(), self._writer)
        self._answering_since_s = None

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
