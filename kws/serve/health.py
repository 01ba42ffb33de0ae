"""Asks a running service whether it is well, as a client of it would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wyoming.event import Event, async_write_event
from wyoming.info import Describe, Info

from kws.errors import KwsError
from kws.serve.addresses import ServeAddress, parse_uri
from kws.serve.messages import read_message
from kws.serve.settings import ServeLimits

ANSWER = ServeLimits(max_data_bytes=4 * 1024 * 1024)
"""A service may know many models."""


@dataclass(frozen=True, slots=True)
class ServeHealth:
    """What a service answered."""

    ok: bool
    """It answers, and knows a model."""
    names: tuple[str, ...]
    """Models that it can detect."""
    error: str
    """What is wrong; "" where nothing is."""


def check(uri: str, timeout_s: float = 5.0) -> ServeHealth:
    """Ask a service for its models.

    Args:
        uri: where it listens.
        timeout_s: how long it may take, in seconds.
    Raises:
        ConfigError: the address is none.
    """
    address = parse_uri(uri)
    try:
        info = asyncio.run(asyncio.wait_for(_described(address), timeout_s))
    except asyncio.TimeoutError:
        return ServeHealth(False, (), f"no answer within {timeout_s:g} s")
    except (OSError, EOFError, KwsError) as error:
        return ServeHealth(False, (), str(error) or type(error).__name__)
    names = tuple(model.name for program in info.wake for model in program.models)
    return ServeHealth(bool(names), names, "" if names else "it knows no model")


async def _described(address: ServeAddress) -> Info:
    """Return what a service says about itself."""
    if address.path is not None:
        reader, writer = await asyncio.open_unix_connection(address.path, limit=ANSWER.max_header_bytes)
    else:
        reader, writer = await asyncio.open_connection(
            address.host, address.port, limit=ANSWER.max_header_bytes
        )
    try:
        await async_write_event(Describe().event(), writer)
        while True:
            found: Event | None = await read_message(reader, ANSWER)
            if found is None:
                raise EOFError("the connection was closed without an answer")
            if Info.is_type(found.type):
                return Info.from_event(found)
    finally:
        writer.close()
