"""Recordings in the formats of phones and browsers, for tests; and programs that stand in for ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

OPTIONS = {
    ".m4a": (), ".mp4": (), ".mov": (), ".3gp": ("-c:a", "aac"), ".aac": (), ".mka": ("-c:a", "aac"),
    ".mkv": ("-c:a", "aac"), ".webm": ("-c:a", "libopus", "-ar", "48000"), ".wma": (), ".ac3": (),
    ".spx": ("-c:a", "libspeex", "-f", "ogg"),
}  # fmt: skip
"""Ending -> options with which ffmpeg writes it."""


def encode(path: Path, waveform: np.ndarray, rate: int = 16_000) -> Path:
    """Write a waveform in the format of the path's ending with ffmpeg; the test is skipped without it."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg, a system package, is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_name(f"{path.name}.plain.wav")
    soundfile.write(str(plain), waveform, rate)
    command = [program, "-v", "error", "-y", "-i", str(plain), *OPTIONS[path.suffix], f"file:{path}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    plain.unlink()
    if made.returncode and "Unknown encoder" in made.stderr:
        pytest.skip(f"ffmpeg without an encoder for {path.suffix}")
    assert made.returncode == 0, made.stderr
    return path


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a shell script named ``ffmpeg`` before everything else on the path."""
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
