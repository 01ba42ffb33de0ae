"""The whole service: models, clients, numbers and announcement, from start to a stop that drops no answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kws.errors import ConfigError
from kws.serve.addresses import ServeAddress, parse_uri
from kws.serve.announcement import Announcement
from kws.serve.connection import Shared
from kws.serve.endpoint import HttpEndpoint
from kws.serve.library import ModelStore
from kws.serve.logs import log
from kws.serve.server import Server
from kws.serve.settings import DEFAULT_URI, DecisionChoices, ServeLimits
from kws.serve.supervisor import tell_systemd, watchdog_s
from kws.serve.workers import Workers

LOOK_S = 1.0
"""How often the folders of models are looked at, in seconds; a change is taken up when it lasts two looks."""

MOST_PORT = 65_535

MOST_THREADS = 4
"""Threads for models where no number is chosen: as many as there are processors, up to this."""


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What to serve, and how."""

    models: tuple[Path, ...]
    """Exported files, run folders, or folders that hold some."""
    uri: str = DEFAULT_URI
    """Where to listen."""
    choices: DecisionChoices = field(default_factory=DecisionChoices)
    """What replaces the decisions in the files."""
    limits: ServeLimits = field(default_factory=ServeLimits)
    """What one client may take."""
    num_threads: int | None = None
    """Models that run at once; None takes the number of processors, up to ``MOST_THREADS``."""
    zeroconf: str | None = None
    """Name under which the service is announced on the local network; None announces nothing."""
    metrics_port: int | None = None
    """Loopback port that tells numbers and health by HTTP; None opens none."""

    def __post_init__(self) -> None:
        if self.num_threads is not None and self.num_threads < 1:
            raise ConfigError(f"`num_threads`: got {self.num_threads}, expected 1 or more")
        if self.metrics_port is not None and not 0 <= self.metrics_port <= MOST_PORT:
            raise ConfigError(f"`metrics_port`: got {self.metrics_port}, expected 0 to {MOST_PORT}")


class Service:
    """The service of one configuration; :func:`serve` runs it, tests start and stop it themselves.

    Raises:
        CheckpointError: a model is missing or broken.
        ConfigError: a setting does not fit.
    """

    def __init__(self, config: ServeRequest) -> None:
        self._config = config
        address = parse_uri(config.uri)
        self.library = ModelStore(config.models, config.choices)
        num_threads = config.num_threads or min(MOST_THREADS, os.cpu_count() or 1)
        self._workers = Workers(num_threads)
        self._shared = Shared(self.library, self._workers, config.limits)
        self.metrics = self._shared.metrics
        self._server = Server(address, self._shared)
        self.endpoint = (
            None
            if config.metrics_port is None
            else HttpEndpoint(
                config.metrics_port, self.metrics.text, lambda: bool(self.library.catalog.models)
            )
        )
        self._announcement: Announcement | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def address(self) -> ServeAddress:
        """Where the service listens; its port is known once it has started."""
        return self._server.address

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            ConfigError: an address is taken.
            DependencyError: zeroconf is wished and not installed.
        """
        await self._server.start()
        try:
            if self.endpoint is not None:
                await self.endpoint.start()
            if self._config.zeroconf is not None:
                self._announcement = Announcement(self._config.zeroconf, self.address)
                await self._announcement.start()
        except BaseException:
            await self.stop()
            raise
        self._count_models()
        self._tasks = [asyncio.create_task(self._follow())]
        beat_s = watchdog_s()
        if beat_s is not None:
            self._tasks.append(asyncio.create_task(_beat(beat_s)))
        tell_systemd("READY=1")
        metrics_port = None if self.endpoint is None else self.endpoint.port
        names = list(self.library.catalog.models)
        log("serving", uri=self.address.uri, models=names, metrics_port=metrics_port)
        if not self.address.is_local:
            log("open to the network", logging.WARNING, note="whoever reaches this port may connect")
        missing = sorted(self._config.choices.named() - self._keywords())
        if missing:
            log("settings without a model", logging.WARNING, keywords=missing)

    async def stop(self) -> None:
        """End the service: nobody new, answers to what was heard, then nothing."""
        tell_systemd("STOPPING=1")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._announcement is not None:
            await self._announcement.stop()
        if self.endpoint is not None:
            self.endpoint.stop()
        await self._server.stop()
        self._workers.close()
        log("stopped")

    def _keywords(self) -> set[str]:
        return {model.keyword for model in self.library.catalog.models.values()}

    def _count_models(self) -> None:
        self.metrics.set("kws_models", len(self.library.catalog.models))
        self.metrics.set("kws_model_refusals_total", self.library.num_refused)

    async def _follow(self) -> None:
        """Take up changes of the model files, again and again."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self.library.refresh)
            except Exception as error:  # the models before stay in use
                log("looking for models failed", logging.ERROR, error=repr(error))
            self._count_models()


async def _beat(every_s: float) -> None:
    """Tell systemd that the event loop still turns."""
    while True:
        tell_systemd("WATCHDOG=1")
        await asyncio.sleep(every_s)


def serve(config: ServeRequest, on_ready: Callable[[Service], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: what and how.
        on_ready: called once, when clients can connect.
    Raises:
        CheckpointError: a model is missing or broken.
        ConfigError: a setting does not fit, or an address is taken.
        DependencyError: a package is not installed.
    """
    asyncio.run(_serve(Service(config), on_ready))


async def _serve(service: Service, on_ready: Callable[[Service], None] | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # no main thread, or no such signals
            loop.add_signal_handler(number, stopped.set)
    await service.start()
    if on_ready is not None:
        on_ready(service)
    try:
        await stopped.wait()
    finally:
        await service.stop()


def default_name() -> str:
    """Return the name under which the service is announced where none is chosen."""
    return f"kws on {socket.gethostname()}"
