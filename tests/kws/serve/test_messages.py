"""The reader of messages: the same ones as the package `wyoming` writes, and nothing beyond its limits."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.audio import AudioChunk
from wyoming.event import Event, async_write_event
from wyoming.wake import Detect

from kws.serve.messages import MessageError, read_message
from kws.serve.settings import ServeLimits

LIMITS = ServeLimits(max_header_bytes=1000, max_data_bytes=2000, max_payload_bytes=5000)


class _Written:
    """Takes what the package writes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def writelines(self, parts) -> None:
        self.data += b"".join(parts)

    async def drain(self) -> None:
        """Nothing waits."""


def written(*events: Event) -> bytes:
    """Return the bytes of messages as the package writes them."""

    async def write() -> bytes:
        writer = _Written()
        for event in events:
            await async_write_event(event, writer)
        return writer.data

    return asyncio.run(write())


def read(data: bytes, limits: ServeLimits = LIMITS) -> list[Event]:
    """Read all messages of these bytes."""

    async def all_of_it() -> list[Event]:
        reader = asyncio.StreamReader(limit=limits.max_header_bytes)
        reader.feed_data(data)
        reader.feed_eof()
        found = []
        while (event := await read_message(reader, limits)) is not None:
            found.append(event)
        return found

    return asyncio.run(all_of_it())


def test_messages_of_the_package_are_read_as_they_were_written():
    chunk = AudioChunk(rate=16_000, width=2, channels=1, audio=b"\0\1" * 100, timestamp=7).event()
    detect = Detect(names=["hey robot", "小爱同学"]).event()
    assert read(written(detect, chunk, Event("describe"))) == [detect, chunk, Event("describe")]


def test_data_in_the_line_and_behind_it_are_joined():
    line = {"type": "x", "data": {"a": 1, "b": 1}, "data_length": 8}
    (event,) = read(json.dumps(line).encode() + b'\n{"b": 2}')
    assert event.data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"\xff\xfe\n", "json", "the line is no JSON"),
        (b"\n", "header", "without a `type`"),
        (b"[" * 900 + b"\n", "json", "no JSON"),
        (b"[1]\n", "json", "no JSON object"),
        (b'{"type": 3}\n', "header", "without a `type`"),
        (b'{"type": "x", "data": [1]}\n', "header", "`data` is no object"),
        (b"{" + b" " * 5000 + b"\n", "header", "more than 1000 bytes"),
        (b'{"type": "x", "payload_length": 1000000000}\n', "length", "1000000000 is more than 5000 bytes"),
        (b'{"type": "x", "data_length": 2001}\n', "length", "2001 is more than 2000 bytes"),
        (b'{"type": "x", "payload_length": -1}\n', "header", "no number of bytes"),
        (b'{"type": "x", "payload_length": true}\n', "header", "no number of bytes"),
        (b'{"type": "x", "payload_length": 1e3}\n', "header", "no number of bytes"),
        (b'{"type": "x", "data_length": 3}\n{{{', "json", "the data is no JSON"),
    ],
)
def test_what_is_no_message_or_too_long_is_refused(data: bytes, kind: str, message: str):
    with pytest.raises(MessageError, match=message) as caught:
        read(data)
    assert caught.value.kind == kind


def test_a_refused_length_is_not_read_for():
    """Nothing of the claimed gigabyte is waited for: the refusal comes from the line alone."""

    async def refused() -> None:
        reader = asyncio.StreamReader(limit=1000)
        reader.feed_data(b'{"type": "audio-chunk", "payload_length": 1000000000}\n')
        with pytest.raises(MessageError):
            await asyncio.wait_for(read_message(reader, LIMITS), 1)

    asyncio.run(refused())


def test_a_message_that_is_cut_off_is_told_from_an_end():
    assert read(b"") == []
    for data in (b'{"type": "x"', b'{"type": "x", "payload_length": 10}\nabc'):
        with pytest.raises(asyncio.IncompleteReadError):
            read(data)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_one_of_three_ends(data: bytes):
    with_line = data + b"\n" + data
    for given_bytes in (data, with_line, b'{"type": "x"}\n' + with_line):
        try:
            read(given_bytes)
        except MessageError as error:
            assert error.kind in ("header", "json", "length") and len(str(error)) < 200
        except asyncio.IncompleteReadError:
            continue
