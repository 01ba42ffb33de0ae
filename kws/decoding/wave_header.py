"""WAV files whose header does not say how long they are: a recorder was killed, or wrote into a pipe.

Called by ``kws.audio`` when it opens a file. libsndfile believes a size that is zero or too small; where the
samples are the last thing in the file, they go to its end.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

UNKNOWN_FROM = 0x7FFF_0000
"""Sizes from here on are written by programs that do not know the length: 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF
and a little less. Where the file is as long, they are right."""

CHUNKS = frozenset(
    (
        b"LIST",
        b"id3 ",
        b"ID3 ",
        b"bext",
        b"cue ",
        b"smpl",
        b"inst",
        b"fact",
        b"JUNK",
        b"junk",
        b"PAD ",
        b"iXML",
    )
    + (
        b"axml",
        b"chna",
        b"_PMX",
        b"acid",
        b"strc",
        b"afsp",
        b"AFAn",
        b"PEAK",
        b"DISP",
        b"fmt ",
        b"levl",
        b"umid",
    )
)
"""Chunks that come after the samples of whole files, also where their own size is wrong."""

TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS")
"""What programs append to any file, chunk or not."""

LOOSE_BYTES = 4096
"""So little after the samples is no lost recording (0.1 s), whatever it is."""


@dataclass(frozen=True, slots=True)
class WaveSize:
    """What the header says of the samples, and what is there.

    Attributes:
        declared_bytes: length of the samples by the header; None where it says that it does not know.
        actual_bytes: from the first sample to the end of the file.
        head: bytes of the file up to the first sample, with sizes that are right.
    """

    declared_bytes: int | None
    actual_bytes: int
    head: bytes

    @property
    def is_cut(self) -> bool:
        """The header promises more than there is."""
        return self.declared_bytes is not None and self.declared_bytes > self.actual_bytes


def wrong_size(path: Path) -> WaveSize | None:
    """Return what is wrong with the size of a WAV file's samples; None for whole files and other formats.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] not in (b"RIFF", b"RF64") or magic[8:] != b"WAVE":
            return None
        end = file.seek(0, os.SEEK_END)
        found = _data_chunk(file, end)
        if found is None:
            return None
        size_at, declared, long_at = found
        start = size_at + 4
        actual = end - start
        unknown = declared == 0 or (declared >= UNKNOWN_FROM and declared > actual)
        after = start + declared + declared % 2
        if not unknown and (declared == actual or (after <= end and not _is_more(file, after, end))):
            return None
        if declared == 0 and (actual == 0 or not _is_sound(file, start, end)):
            return None
        file.seek(0)
        head = bytearray(file.read(start))
    _put(head, 4, "<I", min(end - 8, 0xFFFF_FFFF))
    if long_at is None:
        _put(head, size_at, "<I", min(actual, 0xFFFF_FFFF))
    else:
        _put(head, long_at, "<QQQ", end - 8, actual, 0)
    return WaveSize(None if unknown else declared, actual, bytes(head))


def _data_chunk(file: io.BufferedReader, end: int) -> tuple[int, int, int | None] | None:
    """Return where the size of the samples is, that size, and where it is in 64 bits; None: no samples."""
    place, long_at, long_size = 12, None, 0
    while place + 8 <= end:
        file.seek(place)
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"ds64" and size >= 24 and place + 32 <= end:
            long_at, long_size = place + 8, struct.unpack("<QQQ", file.read(24))[1]
        elif name == b"data":
            is_long = long_at is not None and size == 0xFFFF_FFFF
            return place + 4, long_size if is_long else size, long_at if is_long else None
        place += 8 + size + size % 2
    return None


def _is_more(file: io.BufferedReader, place: int, end: int) -> bool:
    """Tell whether the samples go on behind their declared end."""
    return end - place > LOOSE_BYTES and _is_sound(file, place, end)


def _is_sound(file: io.BufferedReader, place: int, end: int) -> bool:
    """Tell whether what begins at a place are samples: no chunk, no tag and not all zero."""
    file.seek(place)
    head = file.read(8)
    if head[:4] in CHUNKS or head.startswith(TAGS) or _chunks_fit(file, place, end):
        return False
    file.seek(place)
    while piece := file.read(1 << 20):
        if np.frombuffer(piece, np.uint8).any():
            return True
    return False


def _chunks_fit(file: io.BufferedReader, place: int, end: int) -> bool:
    """Tell whether chunks with printable names follow one another to the end of the file."""
    while place + 8 <= end:
        file.seek(place)
        name, size = struct.unpack("<4sI", file.read(8))
        if not all(32 <= letter < 127 for letter in name):
            return False
        place += 8 + size + size % 2
    return place in (end, end + 1)


def _put(head: bytearray, place: int, form: str, *values: int) -> None:
    struct.pack_into(form, head, place, *values)


class MendedFile(io.RawIOBase):
    """A WAV file as libsndfile should see it: the mended head, then the samples as they are."""

    def __init__(self, path: Path, head: bytes) -> None:
        self._file, self._head, self._place = path.open("rb"), head, 0
        self._end = os.fstat(self._file.fileno()).st_size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return how many bytes were there."""
        buffer = memoryview(buffer)
        from_head = self._head[self._place : self._place + len(buffer)]
        buffer[: len(from_head)] = from_head
        self._file.seek(self._place + len(from_head))
        count = len(from_head) + self._file.readinto(buffer[len(from_head) :])
        self._place += count
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
