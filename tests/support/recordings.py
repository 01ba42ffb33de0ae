"""Small audio files for tests of data preparation: tones and noise, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from kws.manifest import Recording


def tone(seconds: float = 0.5, hz: float = 440.0, rate: int = 16_000, level: float = 0.3) -> np.ndarray:
    """Return a sine of ``level``; another ``hz`` gives other samples."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_audio(path: Path, waveform: np.ndarray, rate: int = 16_000, subtype: str | None = None) -> Path:
    """Write a waveform as it is, unlike ``kws.audio.save``: also NaN, several channels and any rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), waveform, rate, subtype=subtype)
    return path


def write_tones(folder: Path, count: int, **fields: str) -> list[Recording]:
    """Write ``count`` different tones and return them as recordings with the given fields."""
    paths = [write_audio(folder / f"{index:03d}.wav", tone(hz=200 + 10 * index)) for index in range(count)]
    return [Recording(path=path, **fields) for path in paths]
