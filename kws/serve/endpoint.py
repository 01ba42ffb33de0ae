"""A loopback port that tells numbers and health by HTTP, for Prometheus and container health checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kws.errors import ConfigError

HOST = "127.0.0.1"
"""The numbers are told to this machine alone."""
MOST_CONNECTIONS = 8
MOST_BYTES = 8 * 1024
"""Longest request."""
ANSWER_S = 3.0
"""Time for a request and its answer, in seconds."""


class HttpEndpoint:
    """Answers ``GET /metrics`` and ``GET /health``, and nothing else.

    Args:
        port: to listen at; 0 takes any that is free.
        metrics: returns the text of the numbers.
        healthy: tells whether the service can detect anything.
    """

    def __init__(self, port: int, metrics: Callable[[], str], healthy: Callable[[], bool]) -> None:
        self.port = port
        self._metrics, self._healthy = metrics, healthy
        self._server: asyncio.Server | None = None
        self._num_open = 0

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ConfigError: the port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._answer, HOST, self.port, limit=MOST_BYTES)
        except OSError as error:
            raise ConfigError(f"`metrics_port`: cannot listen at {HOST}:{self.port} ({error})") from error
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Accept nobody any more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._num_open >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._num_open += 1
        try:
            await asyncio.wait_for(self._exchange(reader, writer), ANSWER_S)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._num_open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].split()
        method, path = (request[0], request[1]) if len(request) == 3 else (b"", b"")
        if method != b"GET":
            status, text = "405 Method Not Allowed", "only GET\n"
        elif path == b"/metrics":
            status, text = "200 OK", self._metrics()
        elif path == b"/health":
            healthy = self._healthy()
            status, text = ("200 OK", "ok\n") if healthy else ("503 Service Unavailable", "no model\n")
        else:
            status, text = "404 Not Found", "/metrics or /health\n"
        body = text.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
