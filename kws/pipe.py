"""Audio that comes through a pipe: a WAV stream that may never end, or raw samples, as 16 kHz mono blocks.

Used by :mod:`kws.listening` for standard input and named pipes, in which there is no way back. Memory stays
that of one block. Imports numpy and what of ``kws`` a device has.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kws.audio import SAMPLE_RATE, to_float32
from kws.channels import Channel, Mixer, check_channel
from kws.errors import AudioError
from kws.resampling import Resampler

STANDARD_INPUT = "-"
"""Name of standard input in place of a file."""

BLOCK_S = 0.08
"""What is read at once: the step of the shipped models."""

UNKNOWN_FROM = 0x7FFF_0000
"""Sizes from here on are written by programs that do not know the length; so is 0."""

LARGEST_CHUNK = 1 << 20
"""Chunks before the samples are no longer; a larger one is no chunk."""

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
"""WAV's codes of how samples are stored."""


@dataclass(frozen=True, slots=True)
class PipeFormat:
    """How the samples of a pipe are stored."""

    rate_hz: int
    """Samples per second."""
    num_channels: int
    """Samples of one frame."""
    sample_bytes: int = 2
    """Bytes of one sample, the lowest first."""
    is_float: bool = False
    """Floats in [-1, 1]; else integers, of one byte without a sign."""
    num_bytes: int | None = None
    """Of all samples; None where they go on to the end of the pipe."""

    def decode(self, data: bytes) -> np.ndarray:
        """Return (frames, channels) float32 in [-1, 1] of whole frames."""
        samples: np.ndarray
        if self.is_float:
            samples = np.frombuffer(data, f"<f{self.sample_bytes}").astype(np.float32)
        elif self.sample_bytes == 1:
            samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        else:
            parts = np.frombuffer(data, np.uint8).reshape(-1, self.sample_bytes)
            wide = np.zeros((len(parts), 4), np.uint8)
            wide[:, 4 - self.sample_bytes :] = parts  # in the highest bytes: the sign is in its place
            samples = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        return samples.reshape(-1, self.num_channels)


def is_pipe(file: str | Path | None) -> bool:
    """Return whether a name is standard input or a pipe, which can be read once and forwards only."""
    return file is not None and (str(file) == STANDARD_INPUT or Path(file).is_fifo())


@contextmanager
def open_pipe(file: str | Path) -> Iterator[BinaryIO]:
    """Open standard input or a named pipe for reading.

    Raises:
        AudioError: standard input is a keyboard.
    """
    if str(file) != STANDARD_INPUT:
        with Path(file).open("rb") as stream:
            yield stream
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise AudioError(
            "`file=-`: nothing is piped in; pipe in sound, such as that of `arecord -f S16_LE -r 16000`"
        )
    yield sys.stdin.buffer


class PipeSource:
    """Blocks of a pipe.

    Args:
        stream: that is read.
        name: of it, for messages.
        raw: how samples without a header are stored; None reads a WAV header.
        channel: see :data:`kws.channels.Channel`.
    Raises:
        AudioError: it is empty, no WAV, or of a kind that is not read.
        ConfigError: it does not have the channel.
    """

    def __init__(self, stream: BinaryIO, name: str, raw: PipeFormat | None, channel: Channel) -> None:
        self._stream = stream
        self._name = name
        self._format = raw or read_header(stream, name)
        check_channel(channel, self._format.num_channels, name)
        self._mixer = Mixer(channel, self._format.rate_hz)

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of the channels since the last call."""
        return self._mixer.notes()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (samples,) float32 at ``SAMPLE_RATE`` as they come, to the end of the pipe.

        Raises:
            AudioError: floats that are no audio in [-1, 1], or no sample at all.
        """
        form = self._format
        resampler = Resampler(form.rate_hz, SAMPLE_RATE)
        frame_bytes = form.sample_bytes * form.num_channels
        block_bytes = max(1, round(BLOCK_S * form.rate_hz)) * frame_bytes
        left, last, empty = form.num_bytes, False, True
        while not last:
            wanted = block_bytes if left is None else min(block_bytes, left)
            data = self._stream.read(wanted)
            left = None if left is None else left - len(data)
            last = len(data) < block_bytes
            samples = form.decode(data[: len(data) - len(data) % frame_bytes])
            empty = empty and not len(samples)
            waveform = resampler.push(self._checked(self._mixer.push(samples)), last)
            if waveform.size:
                yield np.clip(waveform, -1.0, 1.0)
        if empty:
            raise AudioError(
                f"{self._name}: no samples came; does the program before the pipe record?", kind="empty"
            )

    def _checked(self, waveform: np.ndarray) -> np.ndarray:
        """Return the samples, or raise naming the pipe."""
        try:
            return to_float32(waveform)
        except AudioError as error:
            raise AudioError(f"{self._name}: {error}", kind=error.kind) from error


def read_header(stream: BinaryIO, name: str) -> PipeFormat:
    """Read a WAV header up to the first sample.

    Raises:
        AudioError: it is none, or of samples that are not read here.
    """
    start = stream.read(12)
    if not start:
        raise AudioError(f"{name}: no samples came; does the program before the pipe record?", kind="empty")
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise AudioError(
            f"{name}: a pipe must hold WAV, this begins with {start[:4]!r}; give `raw` for 16-bit "
            "samples without a header, or convert it with `ffmpeg -i INPUT -f wav -`"
        )
    found: PipeFormat | None = None
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise AudioError(f"{name}: the WAV header ends before the samples; is the recording cut off?")
        kind, size = struct.unpack("<4sI", head)
        if kind == b"data":
            break
        body = stream.read(size + size % 2) if size <= LARGEST_CHUNK else b""
        if len(body) < size:
            raise AudioError(f"{name}: the WAV header is damaged at {kind!r}; record it again")
        if kind == b"fmt ":
            found = _format_of(body, name)
    if found is None:
        raise AudioError(f"{name}: the WAV header does not say how samples are stored; record it again")
    known = 0 < size < UNKNOWN_FROM
    return PipeFormat(
        found.rate_hz, found.num_channels, found.sample_bytes, found.is_float, size if known else None
    )


def _format_of(body: bytes, name: str) -> PipeFormat:
    """Return what the chunk ``fmt`` says.

    Raises:
        AudioError: samples that are not read here.
    """
    if len(body) < 16:
        raise AudioError(f"{name}: the WAV header is damaged at 'fmt '; record it again")
    code, num_channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if code == EXTENSIBLE and len(body) >= 26:
        code = struct.unpack("<H", body[24:26])[0]
    readable = (code == PCM and bits in (8, 16, 24, 32)) or (code == FLOAT and bits in (32, 64))
    if not readable or not num_channels or not rate_hz:
        raise AudioError(
            f"{name}: WAV of kind {code} with {bits} bits, {num_channels} channels, {rate_hz} Hz is not read "
            "from a pipe; record 16-bit samples (`arecord -f S16_LE`)"
        )
    return PipeFormat(rate_hz, num_channels, bits // 8, code == FLOAT)
