"""Clients of `kws serve`: what Home Assistant's wake provider sends, and clients that mean harm.

Every well-behaved client is the one of the package ``wyoming``; a service runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kws import Detection, Detector
from kws.audio import SAMPLE_RATE, to_int16

CHUNK_S = 0.08
DEADLINE_S = 30.0


class RunningService:
    """`kws serve` in a process of its own, with its log lines as they come.

    Args:
        arguments: of `kws serve`.
        environment: what is added to that of the tests.
        command: what to run in its place.
    """

    def __init__(
        self,
        *arguments: object,
        environment: dict[str, str] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        own = [sys.executable, "-m", "kws", "serve", *map(str, arguments), "--log-format", "json"]
        self.process = subprocess.Popen(
            command or own,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode())

    def events(self, name: str) -> list[dict]:
        """Return the log lines of an event."""
        found = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> dict:
        """Wait until an event has happened so often, and return the last one."""
        end = time.monotonic() + DEADLINE_S
        while len(self.events(name)) < count:
            assert self.process.poll() is None and time.monotonic() < end, "".join(self.lines)
            time.sleep(0.02)
        return self.events(name)[count - 1]

    @property
    def uri(self) -> str:
        """Where it listens."""
        return self.wait_for("serving")["uri"]

    def peak_mb(self) -> float:
        """Return the most memory that it has had, in megabytes; 0 where the system does not tell."""
        return self._megabytes("VmHWM")

    def memory_mb(self) -> float:
        """Return its memory of now, in megabytes; 0 where the system does not tell."""
        return self._megabytes("VmRSS")

    def _megabytes(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(rf"{name}:\s+(\d+) kB", status.read_text() if status.exists() else "")
        return int(found[1]) / 1024 if found else 0.0

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        self._thread.join(DEADLINE_S)
        return status


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*arguments: object, environment: dict[str, str] | None = None) -> Iterator[RunningService]:
    """Run a service at a free port, unless ``--uri`` is among the arguments, and end it afterwards."""
    place = () if "--uri" in map(str, arguments) else ("--uri", "tcp://127.0.0.1:0")
    service = RunningService(*arguments, *place, environment=environment)
    try:
        service.wait_for("serving")
        yield service
    finally:
        service.stop(signal.SIGKILL)
        assert service.process.stderr is not None
        service.process.stderr.close()


def as_pcm(waveform: np.ndarray, width: int = 2, channels: int = 1) -> bytes:
    """Return a waveform as little-endian integers of ``width`` bytes, the same in each channel."""
    frames = np.repeat(np.clip(waveform, -1, 1)[:, None], channels, axis=1)
    if width == 1:
        return (np.rint(frames * 127) + 128).astype(np.uint8).tobytes()
    if width == 2:
        return to_int16(frames).astype("<i2").tobytes()
    wide = np.clip(np.rint(frames.astype(np.float64) * 2**31), -(2**31), 2**31 - 1).astype("<i4")
    return wide.view(np.uint8).reshape(-1, 4)[:, 4 - width :].tobytes()


@dataclass
class Answer:
    """A message that a client got, and when."""

    kind: str
    data: dict
    at_s: float


@dataclass
class WakeSession:
    """One connection of the real client: what it sent last, and every answer."""

    client: object
    answers: list[Answer] = field(default_factory=list)

    def detections(self) -> list[tuple[str, int]]:
        """Return names and times in milliseconds."""
        return [(a.data["name"], a.data["timestamp"]) for a in self.answers if a.kind == "detection"]

    async def send(self, *messages: object) -> None:
        """Send messages in turn."""
        for message in messages:
            await self.client.write_event(message.event())

    async def until(self, *kinds: str) -> Answer:
        """Wait for an answer of one of these kinds."""
        seen = 0
        end = time.monotonic() + DEADLINE_S
        while True:
            for answer in self.answers[seen:]:
                if answer.kind in kinds:
                    return answer
            seen = len(self.answers)
            assert time.monotonic() < end, [answer.kind for answer in self.answers]
            await asyncio.sleep(0.002)

    async def _listen(self) -> None:
        while (event := await self.client.read_event()) is not None:
            self.answers.append(Answer(event.type, event.data, time.monotonic()))


@contextlib.asynccontextmanager
async def wake_session(uri: str) -> AsyncIterator[WakeSession]:
    """Connect the real client and collect what it is answered."""
    from wyoming.client import AsyncClient

    client = AsyncClient.from_uri(uri)
    await client.connect()
    try:
        session = WakeSession(client)
        listening = asyncio.create_task(session._listen())
        try:
            yield session
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    finally:
        with contextlib.suppress(OSError):  # the service may be gone
            await client.disconnect()


async def stream(
    session: WakeSession,
    waveform: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    rate_hz: int = SAMPLE_RATE,
    width: int = 2,
    channels: int = 1,
    speed: float | None = None,
    start_ms: int | None = None,
) -> list[float]:
    """Send what Home Assistant sends: detect, audio-start, chunks, audio-stop.

    Args:
        waveform: (samples,) float32 at ``rate_hz``.
        speed: how many times faster than it sounds; None sends at once.
        start_ms: time stamp of the first chunk; None sends none.
    Returns:
        When each chunk was sent, in seconds of ``time.monotonic()``.
    """
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.wake import Detect

    form = {"rate": rate_hz, "width": width, "channels": channels}
    await session.send(Detect(names=None if names is None else list(names)), AudioStart(**form))
    pcm, step = as_pcm(waveform, width, channels), round(CHUNK_S * rate_hz) * width * channels
    sent, begun = [], time.monotonic()
    for index, start in enumerate(range(0, len(pcm), step)):
        if speed is not None:
            await asyncio.sleep(max(0.0, begun + index * CHUNK_S / speed - time.monotonic()))
        stamp = None if start_ms is None else start_ms + round(1000 * index * CHUNK_S)
        sent.append(time.monotonic())
        await session.send(AudioChunk(**form, audio=pcm[start : start + step], timestamp=stamp))
    await session.send(AudioStop())
    return sent


def by_detector(model: Path, waveform: np.ndarray, **settings) -> tuple[list[Detection], list[int]]:
    """Return what the detector hears in a waveform at 16 kHz, and the chunk that each detection needs."""
    detector, found, chunks = Detector(model, **settings), [], []
    step = round(CHUNK_S * SAMPLE_RATE)
    for index, start in enumerate(range(0, len(waveform), step)):
        heard = detector.process(waveform[start : start + step])
        found += heard
        chunks += [index] * len(heard)
    last = detector.finish()
    return found + last, chunks + [len(waveform) // step] * len(last)


def in_ms(detections: Sequence[Detection]) -> list[tuple[str, int]]:
    """Return names and times as the service tells them."""
    return [(found.keyword, round(1000 * found.time_s)) for found in detections]


async def _raw(uri: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = uri.removeprefix("tcp://").split(":")
    return await asyncio.open_connection(host, int(port))


async def garbage(uri: str) -> None:
    """Send bytes that are no message, again and again."""
    noise = np.random.default_rng(0).bytes(20_000)
    while True:
        with contextlib.suppress(OSError):
            _, writer = await _raw(uri)
            writer.write(noise)
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.close()


async def half_a_header(uri: str) -> None:
    """Begin a message and never end it."""
    _, writer = await _raw(uri)
    writer.write(b'{"type": "audio-chu')
    await asyncio.sleep(DEADLINE_S)


async def a_gigabyte(uri: str) -> None:
    """Claim a payload of 1 GB and send what the socket takes."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await _raw(uri)
            writer.write(b'{"type": "audio-chunk", "payload_length": 1000000000}\n')
            for _ in range(100):
                writer.write(bytes(65_536))
                await writer.drain()
            writer.close()
        await asyncio.sleep(0.05)


async def never_reads(uri: str) -> None:
    """Ask for the models as fast as it goes, and read no answer."""
    with contextlib.suppress(OSError):
        _, writer = await _raw(uri)
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.transport.pause_reading()
        while True:
            writer.write(b'{"type": "describe"}\n' * 100)
            await writer.drain()
            await asyncio.sleep(0.01)


async def flooding(uri: str) -> None:
    """Send audio as fast as the service takes it."""
    form = '"rate": 48000, "width": 4, "channels": 2'
    audio = bytes(round(CHUNK_S * 48_000) * 8)
    message = (
        f'{{"type": "audio-chunk", "data": {{{form}}}, "payload_length": {len(audio)}}}\n'.encode() + audio
    )
    with contextlib.suppress(OSError):
        _, writer = await _raw(uri)
        while True:
            writer.write(message)
            await writer.drain()
            await asyncio.sleep(0)


HOSTILE = (garbage, half_a_header, a_gigabyte, never_reads, flooding)
