"""Accepts clients up to a number, closes those that are too slow, and ends all of them when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from kws.serve.addresses import ServeAddress, listening_socket, remove_socket_file
from kws.serve.connection import Connection, Shared
from kws.serve.logs import log

SWEEP_S = 0.25
"""How often time limits are looked at, in seconds."""

ANSWER_BYTES = 64 * 1024
"""Answers that a client may leave unread before the service waits for it."""

NEWCOMER_S = 1.0
"""A client that has been idle for less is not closed for another one."""


class Server:
    """Clients of one address.

    Args:
        address: where to listen.
        shared: what all clients have.
    """

    def __init__(self, address: ServeAddress, shared: Shared) -> None:
        self._wanted, self._shared = address, shared
        self._clients: dict[Connection, asyncio.Task[None]] = {}
        self._number = 0
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.address = address

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ConfigError: the address is taken, or is none of this machine.
        """
        self._socket, self.address = listening_socket(self._wanted)
        limit = self._shared.limits.max_header_bytes
        if self.address.path is not None:
            self._server = await asyncio.start_unix_server(self._accept, sock=self._socket, limit=limit)
        else:
            self._server = await asyncio.start_server(self._accept, sock=self._socket, limit=limit)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Accept nobody any more, let what is being heard come to its answer, and end all connections."""
        if self._server is None or self._sweeper is None or self._socket is None:
            return
        self._server.close()
        self._sweeper.cancel()
        tasks = set(self._clients.values())
        for client in list(self._clients):
            client.end_when_answered()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._shared.limits.stop_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        remove_socket_file(self.address, self._socket)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it leaves."""
        self._shared.metrics.add("kws_connections_total")
        self._number += 1
        if not self._make_room():
            self._shared.metrics.add("kws_refused_total", reason="full")
            log("client refused", logging.WARNING, client=self._number, error="too many clients")
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=ANSWER_BYTES)
        _keep_alive(writer.get_extra_info("socket"))
        client = Connection(self._number, reader, writer, self._shared)
        task = asyncio.current_task()
        if task is not None:
            self._clients[client] = task
        self._shared.metrics.set("kws_connections", len(self._clients))
        peer = writer.get_extra_info("peername")
        log("client connected", client=client.number, peer=list(peer[:2]) if peer else "socket")
        try:
            await client.run()
        finally:
            self._clients.pop(client, None)
            self._shared.metrics.set("kws_connections", len(self._clients))

    def _make_room(self) -> bool:
        """Tell whether one more client may stay; one that is idle longest and streams nothing goes for it."""
        if len(self._clients) < self._shared.limits.max_connections:
            return True
        now_s = asyncio.get_running_loop().time()
        idle = [
            client
            for client in self._clients
            if not client.is_streaming and now_s - client.idle_since_s > NEWCOMER_S
        ]
        if not idle:
            return False
        longest = min(idle, key=lambda client: client.idle_since_s)
        longest.end("full")
        self._clients.pop(longest)
        return True

    async def _sweep(self) -> None:
        """End clients that take too long, again and again."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = asyncio.get_running_loop().time()
            for client in list(self._clients):
                client.expire(now_s)


def _keep_alive(client: socket.socket | None) -> None:
    """Have the system notice a client that vanished without a word."""
    if client is not None and client.family != getattr(socket, "AF_UNIX", None):
        with contextlib.suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
