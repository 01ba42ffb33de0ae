"""Files that libsndfile does not read (m4a, webm, amr and so on), decoded by the program ffmpeg in a pipe.

Called by ``kws.audio`` only. The samples come in pieces, so that hours take no more memory than a second.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

import numpy as np

from kws.decoding.coreaudio import SystemFile
from kws.errors import AudioError

INSTALL = (
    "install ffmpeg (Debian and Ubuntu: `sudo apt install ffmpeg`, macOS: `brew install ffmpeg`, Windows: "
    "`winget install ffmpeg`), or convert the file to WAV or FLAC"
)
"""What to do where the program is missing."""

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,amr,amrnb,amrwb,ogg,caf,wav,w64,aiff,flac,avi,flv,ac3,eac3,"
    "ape,wv,tta"
)
"""Containers that may be opened: files of one recording, no play list that names other files or addresses."""

STALL_S = 60.0
"""A decoder that gives nothing for so long is stopped."""

_AU_HEADER = struct.Struct(">4sIIIII")
"""Sun's audio format, which can be written into a pipe: magic, length of the header and of the samples,
encoding, sample rate and channels."""

_AU_FLOAT = 6


def program() -> str | None:
    """Return where ffmpeg is, or None."""
    return shutil.which("ffmpeg")


class FfmpegFile:
    """An audio file that ffmpeg decodes while it is read, with the names of ``soundfile.SoundFile``.

    Attributes:
        samplerate: samples per second (Hz).
        channels: channels.

    Args:
        path: the file.
        ffmpeg: the program.
    Raises:
        AudioError: it holds no audio that ffmpeg can decode.
    """

    def __init__(self, path: Path, ffmpeg: str) -> None:
        self._path = path
        self._messages = tempfile.TemporaryFile()
        self._stalled = False
        self._child = subprocess.Popen(
            [
                *(
                    ffmpeg,
                    "-nostdin",
                    "-hide_banner",
                    "-loglevel",
                    "error",
                    "-protocol_whitelist",
                    "file,pipe",
                ),
                *("-format_whitelist", CONTAINERS, "-i", f"file:{path.absolute()}", "-map", "0:a:0"),
                *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        try:
            self.samplerate, self.channels = self._header()
        except BaseException:
            self.close()
            raise

    def read(self, frames: int) -> np.ndarray:
        """Return the next (frames, channels) float32; fewer only at the end.

        Raises:
            AudioError: what follows cannot be decoded.
        """
        data = self._take(frames * self.channels * 4)
        samples = np.frombuffer(data, ">f4", count=len(data) // 4 // self.channels * self.channels)
        if len(data) < frames * self.channels * 4 and self._child.wait() != 0:
            raise self._failure()
        return samples.astype(np.float32).reshape(-1, self.channels)

    def close(self) -> None:
        """Stop the decoder."""
        if self._child.poll() is None:
            self._child.kill()
        if self._child.stdout is not None:
            self._child.stdout.close()
        self._child.wait()
        self._messages.close()

    def __enter__(self) -> FfmpegFile:
        """Return the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self) -> tuple[int, int]:
        """Return sample rate and channels."""
        head = self._take(_AU_HEADER.size)
        if len(head) < _AU_HEADER.size:
            self._child.wait()
            raise self._failure()
        magic, length, _, encoding, rate, channels = _AU_HEADER.unpack(head)
        if magic != b".snd" or encoding != _AU_FLOAT or not rate or not channels:
            raise self._failure()
        self._take(length - _AU_HEADER.size)
        return rate, channels

    def _take(self, count: int) -> bytes:
        """Read so many bytes, fewer at the end; a decoder that hangs is killed."""
        assert self._child.stdout is not None
        watch = threading.Timer(STALL_S, self._stop)
        watch.daemon = True
        watch.start()
        try:
            return self._child.stdout.read(count)
        finally:
            watch.cancel()

    def _stop(self) -> None:
        self._stalled = True
        self._child.kill()

    def _failure(self) -> AudioError:
        """Return an error with ffmpeg's last word, without what the terminal does not need."""
        if self._stalled:
            why = f"ffmpeg gave nothing for {STALL_S:.0f} s"
        else:
            self._messages.seek(0)
            said = self._messages.read().decode("utf-8", "replace").strip().splitlines()
            why = said[-1].rpartition(f"{self._path.name}: ")[2] if said else "ffmpeg gave no reason"
            if any("matches no streams" in line for line in said):
                why = "it holds no audio"
        return AudioError(
            f"{self._path}: cannot be decoded ({why}); convert it to WAV or FLAC, or remove it",
            kind="corrupt",
        )


def open_file(path: Path) -> FfmpegFile | SystemFile:
    """Open a file with what this machine has.

    Raises:
        AudioError: nothing here decodes it; ``kind`` is ``decoder`` where the program is missing.
    """
    ffmpeg = program()
    if ffmpeg is not None:
        return FfmpegFile(path, ffmpeg)
    if sys.platform == "darwin":
        try:
            return SystemFile(path)
        except ImportError:  # the device part of the package does not bring audioread
            pass
    kind = path.suffix.lower() or "this format"
    raise AudioError(f"{path}: reading {kind} needs ffmpeg; {INSTALL}", kind="decoder")
