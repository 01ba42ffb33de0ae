"""Reads one message of the Wyoming protocol with every length bounded before anything is read for it.

The reader of the package ``wyoming`` trusts the lengths in a header; this one takes the same messages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from wyoming.event import Event

from kws.errors import KwsError
from kws.serve.settings import ServeLimits


class MessageError(KwsError):
    """A client sent what is no message, or more than it may; its connection ends.

    Attributes:
        kind: a short word that refusals are counted by.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


async def _for_free(num_bytes: int) -> None:
    """Let any number of bytes be read at once."""


async def read_message(
    reader: asyncio.StreamReader,
    limits: ServeLimits,
    begun: Callable[[], None] = lambda: None,
    spend: Callable[[int], Awaitable[None]] = _for_free,
) -> Event | None:
    """Read the next message.

    Args:
        reader: whose own limit is ``limits.max_header_bytes``.
        limits: of the lengths.
        begun: called when the first byte is there.
        spend: awaited with the bytes of the whole message before those behind its line are read.
    Returns:
        The message, or None where the client has ended the connection between two messages.
    Raises:
        MessageError: what came is no message, or too long.
        asyncio.IncompleteReadError: the connection ended in the middle of one.
    """
    first = await reader.read(1)
    if not first:
        return None
    begun()
    try:
        line = first + (await reader.readuntil(b"\n") if first != b"\n" else b"")
    except asyncio.LimitOverrunError as error:
        raise MessageError(
            f"a line of more than {limits.max_header_bytes} bytes; a message begins with a shorter one",
            kind="header",
        ) from error
    header = _json_object(line, "the line") if line.strip() else {}
    kind = header.get("type")
    if not isinstance(kind, str):
        raise MessageError(
            "a line without a `type`; expected a message of the Wyoming protocol", kind="header"
        )
    data = header.get("data") or {}
    if not isinstance(data, dict):
        raise MessageError("`data` is no object", kind="header")
    data_length = _length(header, "data_length", limits.max_data_bytes)
    payload_length = _length(header, "payload_length", limits.max_payload_bytes)
    await spend(len(line) + data_length + payload_length)
    if data_length:
        data = {**data, **_json_object(await reader.readexactly(data_length), "the data")}
    payload = await reader.readexactly(payload_length) if payload_length else None
    return Event(type=kind, data=data, payload=payload)


def _length(header: dict[str, Any], name: str, most: int) -> int:
    """Return a length of the header, 0 where it says none."""
    value = header.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MessageError(f"`{name}` is no number of bytes", kind="header")
    if value > most:
        raise MessageError(f"`{name}` {value} is more than {most} bytes; send less at once", kind="length")
    return value


def _json_object(text: bytes, what: str) -> dict[str, Any]:
    """Return the object that a text holds; the text itself is in no message, it may hold audio."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"{what} is no JSON", kind="json") from error
    if not isinstance(found, dict):
        raise MessageError(f"{what} is no JSON object", kind="json")
    return found
