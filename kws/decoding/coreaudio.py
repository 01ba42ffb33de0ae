"""Files that macOS decodes by itself, such as m4a of its recorder, where ffmpeg is missing.

Called by ``kws.decoding.ffmpeg`` only.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from kws.errors import AudioError


class SystemFile:
    """An audio file that macOS decodes, through audioread, for a machine without ffmpeg.

    Args:
        path: the file.
    Raises:
        AudioError: the system cannot decode it.
        ImportError: audioread is not installed.
    """

    def __init__(self, path: Path) -> None:
        from audioread.macca import ExtAudioFile, MacError

        try:
            self._file = ExtAudioFile(str(path))
        except MacError as error:
            raise AudioError(
                f"{path}: macOS cannot decode it ({error}); `brew install ffmpeg`, or convert it to WAV",
                kind="corrupt",
            ) from error
        self.samplerate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self._pieces, self._left = iter(self._file), b""

    def read(self, frames: int) -> np.ndarray:
        """Return the next (frames, channels) float32; fewer only at the end."""
        wanted, parts = 2 * frames * self.channels, [self._left]
        while sum(map(len, parts)) < wanted and (piece := next(self._pieces, None)) is not None:
            parts.append(bytes(piece))
        data = b"".join(parts)
        data, self._left = data[:wanted], data[wanted:]
        return (np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768)).reshape(-1, self.channels)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> SystemFile:
        """Return the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
