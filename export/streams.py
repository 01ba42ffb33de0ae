"""What many streams of one :class:`kws.pool.DetectorPool` take of a core: ``kws bench MODEL --streams N``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.signals import speech_like
from kws.audio import SAMPLE_RATE, to_int16
from kws.errors import ConfigError
from kws.pool import DetectorPool

MAX_STREAMS = 10_000
"""Most streams that are timed; bounds memory."""


@dataclass(frozen=True, slots=True)
class StreamsCost:
    """What streams in one pool take of one core."""

    streams: int
    """Heard at once."""
    shares: tuple[float, ...]
    """Processor seconds for each second that all streams hear, of each round."""

    @property
    def share(self) -> float:
        """Median over rounds."""
        return float(np.median(self.shares))

    @property
    def streams_a_core(self) -> int:
        """How many streams a core hears in real time, at the cost of one of these."""
        return int(self.streams / self.share)


def streams_cost(model: str | Path, streams: int, seconds: float = 10.0, rounds: int = 3) -> StreamsCost:
    """Time streams of one pool on one thread, a chunk of each at a time.

    Args:
        model: exported file.
        streams: each hears other audio.
        seconds: of audio in each stream and round.
        rounds: of which the median counts.
    Raises:
        CheckpointError, ConfigError: an argument is out of range, or the file is no exported model.
    """
    if not 1 <= streams <= MAX_STREAMS:
        raise ConfigError(f"`streams`: got {streams}, allowed: 1 to {MAX_STREAMS}")
    if rounds < 1 or not seconds > 0:
        raise ConfigError(f"`rounds` and `seconds`: got {rounds} and {seconds:g}, expected more than 0")
    return StreamsCost(streams, tuple(_share(Path(model), streams, seconds) for _ in range(rounds)))


def _share(model: Path, streams: int, seconds: float) -> float:
    pool = DetectorPool(model, max_streams=streams)
    step = pool.chunk_samples
    audio = to_int16(speech_like(max(seconds, step / SAMPLE_RATE)))
    heard = {pool.add(): np.roll(audio, 997 * number) for number in range(streams)}
    end = len(audio) // step * step
    began = time.process_time()
    for start in range(0, end, step):
        pool.process({number: samples[start : start + step] for number, samples in heard.items()})
    return (time.process_time() - began) / (end / SAMPLE_RATE)
