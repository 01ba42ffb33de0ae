"""The only code that opens, resamples, pads or writes audio; others take 16 kHz mono float32 from here.

Imports numpy and soundfile only, so that a device can use it; librosa (soxr) is loaded when a file needs
resampling or is in a format that libsndfile cannot read.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from kws.errors import AudioError, DependencyError

SAMPLE_RATE = 16_000
"""Samples per second of every waveform inside the project (Hz)."""

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".au", ".caf", ".m4a", ".w64"}
)
"""File name endings that a folder scan takes for audio."""

INT16_SCALE = 32_768.0

FLOAT_PEAK_MAX = INT16_SCALE * 10 ** (-60 / 20)
"""Largest magnitude that floats of audio in [-1, 1] may have: 33, or 30 dB above full scale, which no mix
reaches by overshoot. Floats in the range of int16 exceed it once they are louder than 60 dB below full scale,
under which a recording is silent."""


def seconds_to_samples(seconds: float) -> int:
    """Return the nearest whole number of samples in ``seconds``."""
    return round(seconds * SAMPLE_RATE)


def samples_to_seconds(samples: int) -> float:
    """Return the length of ``samples`` in seconds."""
    return samples / SAMPLE_RATE


def to_float32(pcm: np.ndarray) -> np.ndarray:
    """Turn one-dimensional int16 or float PCM into float32 in [-1, 1].

    Args:
        pcm: (samples,) int16, float32 or float64.
    Returns:
        (samples,) float32; what overshoots full scale a little stays as it is.
    Raises:
        AudioError: bytes, another type or shape, a value that is not finite, or floats that are no audio in
            [-1, 1], such as 16-bit integers that were turned into floats.
    """
    if isinstance(pcm, (bytes, bytearray)) or (isinstance(pcm, memoryview) and pcm.format in "cbB"):
        raise AudioError(
            f"audio is {type(pcm).__name__}, expected an array of samples; of 16-bit samples: "
            "`np.frombuffer(data, np.int16)`"
        )
    pcm = np.asarray(pcm)
    if pcm.ndim != 1:
        raise AudioError(
            f"audio has shape {pcm.shape}, expected one dimension (mono); average or pick a channel first"
        )
    if pcm.dtype == np.int16:
        return pcm.astype(np.float32) / np.float32(INT16_SCALE)
    if pcm.dtype not in (np.float32, np.float64):
        raise AudioError(
            f"audio has type {pcm.dtype}, expected int16 or float32 in [-1, 1]; convert it first"
        )
    peak = peak_of(pcm)
    if not math.isfinite(peak):
        raise AudioError(
            "audio holds NaN or infinite values; check the microphone driver or the file", kind="nonfinite"
        )
    if peak > FLOAT_PEAK_MAX:
        raise AudioError(
            f"float audio reaches {peak:.5g}, expected [-1, 1]; give 16-bit integers as they are "
            f"(`np.frombuffer(data, np.int16)`), or divide them by {INT16_SCALE:.0f}",
            kind="range",
        )
    return pcm.astype(np.float32, copy=False)


def peak_of(waveform: np.ndarray) -> float:
    """Return the largest magnitude, 0 of no samples; NaN or infinite where a sample is."""
    return float(np.maximum(waveform.max(), -waveform.min())) if waveform.size else 0.0


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Turn float32 in [-1, 1] into int16, clipping what overshoots."""
    return np.clip(np.rint(waveform * INT16_SCALE), -32768, 32767).astype(np.int16)


def resample(waveform: np.ndarray, source_rate_hz: int, target_rate_hz: int = SAMPLE_RATE) -> np.ndarray:
    """Resample a mono waveform with soxr (through librosa).

    Raises:
        DependencyError: librosa is not installed (the device part of the package does not bring it).
    """
    if source_rate_hz == target_rate_hz:
        return waveform
    try:
        import librosa
    except ImportError as error:
        raise DependencyError(
            f"audio at {source_rate_hz} Hz must be resampled to {target_rate_hz} Hz, which needs librosa: "
            "`pip install librosa`, or convert the audio first"
        ) from error
    return librosa.resample(
        waveform, orig_sr=source_rate_hz, target_sr=target_rate_hz, res_type="soxr_hq"
    ).astype(np.float32)


def duration_s(path: str | Path) -> float:
    """Return the length of an audio file in seconds, from its header.

    Raises:
        AudioError: the file is missing or no audio.
    """
    try:
        return float(soundfile.info(str(path)).duration)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        return len(_read_with_librosa(Path(path), error)) / SAMPLE_RATE


def load(path: str | Path, *, offset_s: float = 0.0, length_s: float | None = None) -> np.ndarray:
    """Read any common audio file as 16 kHz mono float32.

    Args:
        path: a file that soundfile or librosa reads, at any rate, with any number of channels (averaged).
        offset_s: where to start, in seconds.
        length_s: how much to read, in seconds; None reads to the end.
    Returns:
        (samples,) float32, clipped to [-1, 1].
    Raises:
        AudioError: the file is missing, corrupt, empty or holds NaN or infinite values.
    """
    path = Path(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = file.samplerate
            if offset_s:
                file.seek(min(round(offset_s * rate), file.frames))
            frames = -1 if length_s is None else round(length_s * rate)
            waveform = file.read(frames, dtype="float32", always_2d=True).mean(axis=1, dtype=np.float32)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        waveform, rate = _read_with_librosa(path, error), SAMPLE_RATE
        stop = None if length_s is None else seconds_to_samples(offset_s + length_s)
        waveform = waveform[seconds_to_samples(offset_s) : stop]
    if waveform.size == 0:
        raise AudioError(f"{path}: holds no samples; record it again or remove it")
    if not np.isfinite(waveform).all():
        raise AudioError(f"{path}: holds NaN or infinite samples; export it again as 16-bit PCM or remove it")
    return np.clip(resample(waveform, rate), -1.0, 1.0)


def _read_with_librosa(path: Path, cause: Exception) -> np.ndarray:
    """Read what libsndfile cannot (m4a and the like) through librosa's audioread back end."""
    if not path.is_file():
        raise AudioError(
            f"{path}: no such file; check the path in the manifest or on the command line"
        ) from cause
    if path.suffix.lower() in {".m4a", ".mp4", ".aac", ".wma", ".webm"}:
        try:
            import audioread
            import librosa

            waveform, _ = librosa.load(audioread.audio_open(str(path)), sr=SAMPLE_RATE, mono=True)
            return waveform
        except ImportError as error:
            raise DependencyError(
                f"{path}: this format needs librosa: `pip install librosa`, or convert it to WAV"
            ) from error
        except Exception as error:  # audioread raises a family of back-end errors with no common base
            raise AudioError(f"{path}: cannot be decoded ({error}); convert it to WAV or FLAC") from error
    raise AudioError(
        f"{path}: cannot be decoded as audio ({cause}); convert it to WAV or FLAC, or remove it"
    ) from cause


def blocks(path: str | Path, block_s: float = 60.0) -> Iterator[np.ndarray]:
    """Read a long file piece by piece, so that ten hours need no more memory than one minute.

    Args:
        path: as in :func:`load`.
        block_s: length of a piece in seconds, at the file's own rate.
    Yields:
        (samples,) float32 at ``SAMPLE_RATE``; pieces of a file at another rate are resampled one by one.
    Raises:
        AudioError: as in :func:`load`.
    """
    path = Path(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            for block in file.blocks(round(block_s * file.samplerate), dtype="float32", always_2d=True):
                waveform = block.mean(axis=1, dtype=np.float32)
                if not np.isfinite(waveform).all():
                    raise AudioError(
                        f"{path}: holds NaN or infinite samples; export it again as 16-bit PCM or remove it"
                    )
                yield np.clip(resample(waveform, file.samplerate), -1.0, 1.0)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        yield np.clip(_read_with_librosa(path, error), -1.0, 1.0)


def save(path: str | Path, waveform: np.ndarray, sample_rate_hz: int = SAMPLE_RATE) -> None:
    """Write mono 16-bit audio (format by the file name's ending), under a temporary name first."""
    path = Path(path)
    kind = path.suffix.lower().lstrip(".") or "wav"
    container, subtype = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS")}.get(
        kind, (kind.upper(), "PCM_16")
    )
    with atomic_write(path) as temporary:
        soundfile.write(
            str(temporary), np.clip(waveform, -1.0, 1.0), sample_rate_hz, format=container, subtype=subtype
        )


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` on success, remove it on failure.

    A system error without a file's name, such as that of a full disk, gets the name of ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
