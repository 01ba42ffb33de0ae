"""Other metadata for an exported file, without the package onnx: a device part can write a threshold.

An ONNX file is a protocol buffer. Of its outermost fields only number 14, pairs of texts, is written anew;
all others are kept byte by byte. Source of the numbers: ``onnx/onnx.proto`` of https://github.com/onnx/onnx.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

METADATA_FIELD = 14  # ModelProto.metadata_props, of StringStringEntryProto: 1 is the key, 2 the value
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


def with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return an ONNX file with other metadata and nothing else changed.

    Args:
        data: the file.
        metadata: key -> text, all that it shall hold.
    Raises:
        ValueError: the file is no protocol buffer.
    """
    kept = [data[start:end] for number, start, end in _fields(data) if number != METADATA_FIELD]
    for key, value in metadata.items():
        entry = b"".join(
            bytes([number << 3 | LENGTH]) + _varint(len(text)) + text
            for number, text in ((1, key.encode()), (2, value.encode()))
        )
        kept.append(bytes([METADATA_FIELD << 3 | LENGTH]) + _varint(len(entry)) + entry)
    return b"".join(kept)


def _fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each outermost field."""
    place = 0
    while place < len(data):
        start = place
        tag, place = _read_varint(data, place)
        kind = tag & 7
        if kind == LENGTH:
            length, place = _read_varint(data, place)
            place += length
        elif kind == VARINT:
            _, place = _read_varint(data, place)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            place += 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"byte {start}: a field of kind {kind}")
        if place > len(data):
            raise ValueError(f"byte {start}: a field that ends behind the file")
        yield tag >> 3, start, place


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            raise ValueError("a number that ends behind the file")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"byte {place}: a number of more than ten bytes")


def _varint(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
