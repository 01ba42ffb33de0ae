"""Opens an audio file with whatever reads it: libsndfile, or the program ffmpeg for what it cannot read.

Called by ``kws.audio`` only, which turns what is read into 16 kHz mono.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kws.decoding import ffmpeg
from kws.decoding.formats import FFMPEG_SUFFIXES
from kws.decoding.quiet import quiet_stderr
from kws.decoding.wave_header import MendedFile, wrong_size
from kws.errors import AudioError

QUIET_MAGIC = (b"RIFF", b"RF64", b"RIFX", b"fLaC", b"OggS", b"FORM", b"caff", b".snd", b"riff")
"""How files begin that libsndfile reads without mpg123."""

OWN_MAGIC = (b"RIFF", b"RF64", b"RIFX", b"fLaC", b"FORM", b".snd", b"riff")
"""How files begin that are libsndfile's alone: what it refuses of them is damaged."""

SKIP_FRAMES = 1 << 20
"""Frames decoded at once where they are only counted or passed over."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What can be said of an audio file before it is decoded."""

    sample_rate: int
    """Samples per second of the file (Hz)."""
    channels: int
    """Channels of the file."""
    duration_s: float | None
    """Length in seconds; None where only decoding tells."""
    note: str | None = None
    """What is wrong with its header, and what was done about it."""


def info(path: str | Path) -> AudioInfo:
    """Return rate, channels and length of a file from its header.

    Raises:
        AudioError: the file is missing or no audio.
    """
    with opened(Path(path)) as (file, note):
        frames = num_frames(file)
        duration_s = frames / file.samplerate if math.isfinite(frames) else None
        return AudioInfo(file.samplerate, file.channels, duration_s, note)


class QuietSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile ships no types
    """A file of libsndfile, read as (frames, channels) float32; mpg123's notices stay off the terminal."""

    def __init__(self, file: Any, quiet: bool) -> None:
        self._quiet = quiet_stderr if quiet else nullcontext
        with self._quiet():
            super().__init__(file)

    def read(self, frames: int) -> np.ndarray:
        """Return the next (frames, channels) float32; fewer only at the end."""
        with self._quiet():
            samples: np.ndarray = super().read(frames, dtype="float32", always_2d=True)
            return samples


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, str | None]]:
    """Open a file with whatever reads it; gives an object with ``read`` and a note about its header.

    Raises:
        AudioError: it is missing, or nothing reads it; also where reading fails later.
    """
    try:
        there, folder = path.exists(), path.is_dir()
    except OSError as error:  # a name that no system takes
        told = f"{str(path)[:200]}: no such file can be there ({error.strerror})"
        raise AudioError(told, kind="missing") from error
    if not there or folder:
        what = "a folder, and no such file" if folder else "no such file"
        raise AudioError(
            f"{path}: {what}; check the path in the manifest or on the command line", kind="missing"
        )
    with ExitStack() as stack:
        try:
            yield _open(path, stack)
        except (soundfile.LibsndfileError, OSError) as error:
            raise _corrupt(path, error) from error


def _open(path: Path, stack: ExitStack) -> tuple[Any, str | None]:
    """Open ffmpeg's formats with ffmpeg, all others with libsndfile, and with ffmpeg where that fails."""
    foreign = path.suffix.lower() in FFMPEG_SUFFIXES
    if foreign and (ffmpeg.program() is not None):
        return stack.enter_context(ffmpeg.open_file(path)), None
    magic = _magic(path)
    try:
        return _with_libsndfile(path, magic, stack)
    except (soundfile.LibsndfileError, TypeError) as cause:  # TypeError: samples without a header (.raw)
        if not magic or (magic in OWN_MAGIC and not foreign):
            raise _corrupt(path, cause) from cause
        try:
            return stack.enter_context(ffmpeg.open_file(path)), None
        except AudioError as error:
            raise (error if foreign else _corrupt(path, cause)) from cause


def _magic(path: Path) -> bytes:
    """Return how a file begins; of a pipe, which can be read only once, nothing."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(4)


def _with_libsndfile(path: Path, magic: bytes, stack: ExitStack) -> tuple[soundfile.SoundFile, str | None]:
    """Open a file with libsndfile; a WAV header that is wrong about the length is mended on the way."""
    size = wrong_size(path) if magic in (b"RIFF", b"RF64") else None
    loud = bool(magic) and magic not in QUIET_MAGIC
    if size is None:
        name = os.fsencode(path) if os.name == "posix" else str(path)  # soundfile encodes no Latin-1 bytes
        return stack.enter_context(QuietSoundFile(name, loud)), None
    mended = stack.enter_context(MendedFile(path, size.head))
    file = stack.enter_context(QuietSoundFile(mended, loud))
    held_s = file.frames / file.samplerate
    if size.declared_bytes is None:
        return file, f"the header does not say how long it is; read to the end of the file, {held_s:.2f} s"
    promised_s = held_s * size.declared_bytes / size.actual_bytes if size.actual_bytes else math.inf
    told = f"the header says {promised_s:.2f} s, the file holds {held_s:.2f} s"
    return file, f"{told}; {'is it cut short?' if size.is_cut else 'read to its end'}"


def _corrupt(path: Path, cause: Exception) -> AudioError:
    """Return the error of a file that nothing reads."""
    why = getattr(cause, "error_string", None) or getattr(cause, "strerror", None) or str(cause)
    told = f"cannot be decoded as audio ({str(why).strip(' .')})"
    return AudioError(f"{path}: {told}; convert it to WAV or FLAC, or remove it", kind="corrupt")


def num_frames(file: Any) -> float:
    """Return the frames of an opened file; infinite where only decoding tells."""
    return file.frames if isinstance(file, QuietSoundFile) else math.inf


def skip(file: Any, frames: int) -> None:
    """Go forward from the start of a file, at most to its end."""
    if isinstance(file, QuietSoundFile):
        file.seek(min(frames, file.frames))
        return
    while frames > 0 and (passed := len(file.read(min(frames, SKIP_FRAMES)))):
        frames -= passed
