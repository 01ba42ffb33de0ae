"""The only code that opens, resamples, pads or writes audio; others take 16 kHz mono float32 from here.

Imports numpy and soundfile only, so that a device can use it. Other rates need nothing else; formats that
libsndfile cannot read need the program ffmpeg.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from kws.channels import Channel, check_channel, surviving_channel
from kws.decoding.files import SKIP_FRAMES, num_frames, opened, skip
from kws.decoding.files import AudioInfo as AudioInfo
from kws.decoding.files import info as info
from kws.decoding.formats import AUDIO_SUFFIXES as AUDIO_SUFFIXES
from kws.errors import AudioError
from kws.pcm import FLOAT_PEAK_MAX, INT16_SCALE
from kws.pcm import SAMPLE_RATE as SAMPLE_RATE
from kws.pcm import peak_of as peak_of
from kws.pcm import samples_to_seconds as samples_to_seconds
from kws.pcm import seconds_to_samples as seconds_to_samples
from kws.pcm import to_float32 as to_float32
from kws.pcm import to_int16 as to_int16
from kws.resampling import Resampler

logger = logging.getLogger(__name__)

LOOK_S = 10.0
"""Beginning of a file of several channels in which it is seen whether they cancel each other."""

END_TOLERANCE_S = 0.01
"""What leaves less than this of a file, in seconds, takes all of it: manifests round lengths."""


def resample(waveform: np.ndarray, source_rate_hz: int, target_rate_hz: int = SAMPLE_RATE) -> np.ndarray:
    """Resample a mono waveform: with soxr where it is installed, else with numpy alone.

    Args:
        waveform: (samples,) float32.
        source_rate_hz: its samples per second.
        target_rate_hz: samples per second of the result.
    Returns:
        (ceil(samples * target / source),) float32.
    """
    return Resampler(source_rate_hz, target_rate_hz).push(waveform, last=True)


def duration_s(path: str | Path) -> float:
    """Return the length of an audio file in seconds, from its header, or by decoding it piece by piece.

    Raises:
        AudioError: the file is missing or no audio.
    """
    path = Path(path)
    known_s = info(path).duration_s
    if known_s is not None:
        return known_s
    state = path.stat()
    return _decoded_s(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _decoded_s(path: Path, size: int, changed_ns: int) -> float:
    """Count the samples of a file of this size and time of change."""
    frames = 0
    with opened(path) as (file, _):
        while piece := len(file.read(SKIP_FRAMES)):
            frames += piece
        length_s: float = frames / file.samplerate
        return length_s


def load(path: str | Path, *, offset_s: float = 0.0, length_s: float | None = None) -> np.ndarray:
    """Read any common audio file as 16 kHz mono float32.

    Args:
        path: a file that libsndfile or ffmpeg reads, at any rate, with any number of channels (averaged; of
            channels that cancel each other the loudest).
        offset_s: where to start, in seconds.
        length_s: how much to read, in seconds; None reads to the end.
    Returns:
        (samples,) float32, clipped to [-1, 1].
    Raises:
        AudioError: the file is missing, corrupt, empty or holds samples that are no audio in [-1, 1].
    """
    pieces = list(blocks(path, offset_s=offset_s, length_s=length_s))
    if not pieces:
        raise AudioError(f"{path}: holds no samples; record it again or remove it", kind="empty")
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def blocks(
    path: str | Path,
    block_s: float = 60.0,
    *,
    offset_s: float = 0.0,
    length_s: float | None = None,
    channel: Channel = None,
) -> Iterator[np.ndarray]:
    """Read a long file piece by piece, so that ten hours need no more memory than one minute.

    Args:
        path: as in :func:`load`.
        block_s: length of a piece in seconds; at another rate pieces are a little shorter or longer.
        offset_s: where to start, in seconds.
        length_s: how much to read, in seconds; None reads to the end, and so does what leaves less than
            ``END_TOLERANCE_S``.
        channel: its number, from 1, or ``mix`` for the average; None averages, unless the first
            ``LOOK_S`` show that the channels cancel each other, and takes the loudest then.
    Yields:
        (samples,) float32 at ``SAMPLE_RATE``, never empty; joined they are what :func:`load` returns, bit for
        bit.
    Raises:
        AudioError: as in :func:`load`, but for a file without samples, of which there are no pieces.
        ConfigError: the file does not have the channel.
    """
    path = Path(path)
    with opened(path) as (file, note):
        if note:
            logger.info("%s: %s", path, note)
        rate = file.samplerate
        start = round(offset_s * rate)
        skip(file, start)
        left = math.inf if length_s is None else round(length_s * rate)
        if start + left >= num_frames(file) - END_TOLERANCE_S * rate:
            left = math.inf
        check_channel(channel, file.channels, str(path))
        first = np.zeros((0, file.channels), np.float32)
        if channel is None and file.channels > 1:
            first = file.read(int(min(round(LOOK_S * rate), left)))
            channel = surviving_channel(first)
            if channel is not None:
                logger.info("%s: the channels cancel each other; channel %d is read", path, channel)
        resampler = Resampler(rate, SAMPLE_RATE)
        last = left <= 0
        while not last:
            wanted = int(min(max(round(block_s * rate), 1), left))
            samples, first = first[:wanted], first[wanted:]
            if len(samples) < wanted:
                samples = np.concatenate([samples, file.read(wanted - len(samples))])
            left -= len(samples)
            last = len(samples) < wanted or left <= 0
            waveform = resampler.push(_mono(samples, path, channel), last)
            if waveform.size:
                yield np.clip(waveform, -1.0, 1.0)


def _mono(samples: np.ndarray, path: Path, channel: Channel) -> np.ndarray:
    """Return (frames,) float32 of (frames, channels), one or the average, and refuse what is no audio.

    Raises:
        AudioError: a value is not finite, or far beyond full scale.
    """
    if isinstance(channel, int):
        waveform = samples[:, channel - 1]
    else:
        waveform = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    peak = peak_of(waveform)
    if not math.isfinite(peak):
        raise AudioError(
            f"{path}: holds NaN or infinite samples; export it again as 16-bit PCM or remove it",
            kind="nonfinite",
        )
    if peak > FLOAT_PEAK_MAX:
        raise AudioError(
            f"{path}: floats that reach {peak:.5g}, expected [-1, 1]; divide them by the full scale of the "
            f"integers that they were ({INT16_SCALE:.0f} for 16 bits), or write it as 16-bit PCM",
            kind="range",
        )
    return waveform


def save(path: str | Path, waveform: np.ndarray, sample_rate_hz: int = SAMPLE_RATE) -> None:
    """Write mono 16-bit audio (format by the file name's ending), under a temporary name first."""
    path = Path(path)
    kind = path.suffix.lower().lstrip(".") or "wav"
    container, subtype = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS")}.get(
        kind, (kind.upper(), "PCM_16")
    )
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file:
            soundfile.write(
                file, np.clip(waveform, -1.0, 1.0), sample_rate_hz, format=container, subtype=subtype
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
