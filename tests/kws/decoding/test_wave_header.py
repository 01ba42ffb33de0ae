"""WAV headers that are wrong about the length: killed recorders, pipes, cut files; and whole files."""

from __future__ import annotations

import struct
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kws import audio
from kws.decoding.wave_header import LOOSE_BYTES, wrong_size
from kws.errors import AudioError
from tests.support.recordings import tone, write_audio

PCM = (tone(2.0) * 32_767).astype("<i2").tobytes()


def header(data_size: int, riff_size: int, *before: bytes) -> bytes:
    """Return the head of a 16-bit mono file at 16 kHz, with other chunks before the samples."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    return b"".join(
        [
            struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE"),
            form,
            *before,
            struct.pack("<4sI", b"data", data_size),
        ]
    )


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk, padded to whole words."""
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)


def rf64(data_size: int) -> bytes:
    """Return the head of the same file with sizes of 64 bits."""
    head = header(0xFFFF_FFFF, 0xFFFF_FFFF, chunk(b"ds64", struct.pack("<QQQI", 0, data_size, 0, 0)))
    form, sizes = head[12:36], head[36:72]
    return b"RF64" + head[4:12] + sizes + form + head[72:]  # ds64 is the first chunk


BROKEN = {
    "size 0": header(0, 0),
    "size 0 in a form of 36": header(0, 36),
    "too small": header(1000, 1036),
    "ffffffff": header(0xFFFF_FFFF, 0xFFFF_FFFF),
    "80000000": header(0x8000_0000, 0x8000_0024),
    "7fffffff": header(0x7FFF_FFFF, 0x7FFF_FFFF),
    "7ffff000": header(0x7FFF_F000, 0x7FFF_F024),
    "a chunk before": header(0, 0, chunk(b"LIST", b"INFOISFT\x04\x00\x00\x00abc\x00")),
    "an odd chunk before": header(10, 46, chunk(b"bext", b"abc")),
    "rf64 of unknown size": rf64(0xFFFF_FFFF_FFFF_FFFF),
    "rf64 of size 0": rf64(0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_samples_to_the_end_of_the_file_are_read_and_it_is_noted(tmp_path: Path, name: str):
    path = tmp_path / "a.wav"
    path.write_bytes(BROKEN[name] + PCM)
    assert np.array_equal(audio.to_int16(audio.load(path)), np.frombuffer(PCM, "<i2"))
    assert np.array_equal(audio.load(path, offset_s=1.0), audio.load(path)[16_000:])
    told = audio.info(path)
    assert told.duration_s == 2.0 and told.note is not None
    assert ("the header does not say" in told.note) or "the file holds 2.00 s; read to its end" in told.note


@pytest.mark.parametrize("name", ["size 0", "ffffffff", "too small"])
def test_an_odd_byte_at_the_end_is_left(tmp_path: Path, name: str):
    path = tmp_path / "a.wav"
    path.write_bytes(BROKEN[name] + PCM + b"\x01")
    assert len(audio.load(path)) == 32_000


def test_a_file_that_was_cut_gives_what_is_there(tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes((header(len(PCM), len(PCM) + 36) + PCM)[:-30_000])
    assert len(audio.load(path)) == (len(PCM) - 30_000) // 2
    assert audio.info(path).note == "the header says 2.00 s, the file holds 1.06 s; is it cut short?"


WHOLE = {
    "nothing after": b"",
    "list": chunk(b"LIST", b"INFOIART\x04\x00\x00\x00abc\x00" * 400),
    "id3": chunk(b"id3 ", b"ID3" + bytes(range(256)) * 30),
    "unknown chunks": chunk(b"abcd", bytes(range(256)) * 30) + chunk(b"EFGH", b"1"),
    "a list that is cut": chunk(b"LIST", b"INFO" + bytes(range(256)) * 100)[:9000],
    "a tag of 128 bytes": b"TAG" + b"a" * 125,
    "a long tag": b"APETAGEX" + b"abc" * 3000,
    "space kept free": bytes(100_000),
    "a few bytes": b"\x01\x02\x03" * (LOOSE_BYTES // 3),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_follows_the_samples_of_a_whole_file_is_not_sound(tmp_path: Path, name: str):
    path = tmp_path / "a.wav"
    path.write_bytes(header(len(PCM), len(PCM) + 36 + len(WHOLE[name])) + PCM + WHOLE[name])
    assert wrong_size(path) is None and audio.info(path).note is None
    assert np.array_equal(audio.to_int16(audio.load(path)), np.frombuffer(PCM, "<i2"))


def test_a_file_that_truly_holds_nothing_stays_empty(tmp_path: Path):
    for number, after in enumerate((b"", chunk(b"LIST", b"INFO"), bytes(5000))):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(header(0, 36) + after)
        with pytest.raises(AudioError, match="holds no samples"):
            audio.load(path)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_every_coding_of_a_killed_recorder(tmp_path: Path, subtype: str):
    path = write_audio(tmp_path / "a.wav", tone(1.0), subtype=subtype)
    whole, data = audio.load(path), bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = data[4:8] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_allclose(audio.load(path)[: len(whole)], whole, atol=1e-6)


@given(
    st.sampled_from([*BROKEN.values(), header(len(PCM), len(PCM) + 36)]),
    st.lists(st.tuples(st.integers(4, 90), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 2000),
)
@settings(max_examples=60, deadline=None)
def test_any_header_is_read_or_refused(head: bytes, changes: list[tuple[int, bytes]], length: int):
    content = bytearray(head + PCM[:1000])
    for place, values in changes:
        content[place : place + len(values)] = values
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(content[:length])
        with suppress(AudioError):
            audio.load(path)


@pytest.mark.parametrize("form", ["RF64", "W64", "AIFF", "FLAC"])
def test_other_formats_are_not_touched(tmp_path: Path, form: str):
    path = tmp_path / "a.bin"
    soundfile.write(str(path), tone(0.5), 16_000, format=form, subtype="PCM_16")
    assert wrong_size(path) is None and len(audio.load(path)) == 8000
