"""One channel of several: an average that keeps the sound, or the channel that a person asks for.

Called by ``kws.audio`` for files, by ``kws.microphone`` and ``kws.pipe`` for streams. Imports numpy only.
Channels are numbered from 1, as people count them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from kws.errors import ConfigError

Channel = int | Literal["mix"] | None
"""The number of a channel, ``mix`` for the average of all, or None: the average, unless it cancels."""

CANCELED_DB = 10.0
"""An average that is so far below the loudest channel has lost the sound: two channels lose 6 dB where one is
silent, and all where they are of opposite sign."""

LOUDER_DB = 20.0
"""So much louder than what is listened to, another channel is worth naming."""

HEARD_DB = -50.0
"""Quieter channels are not compared: they hold noise."""

NOTE_S = 2.0
"""Sound of so long a time is compared before another channel is named."""


def check_channel(channel: Channel, num_channels: int, source: str) -> None:
    """Refuse a channel that a source does not have.

    Raises:
        ConfigError: there is none of this number.
    """
    if isinstance(channel, int) and not 1 <= channel <= num_channels:
        has = "one channel" if num_channels == 1 else f"channels 1 to {num_channels}"
        raise ConfigError(f"channel {channel}: {source} has {has}; choose one of them, or `mix`")


def powers(samples: np.ndarray) -> np.ndarray:
    """Return the mean square of each column of (frames, channels)."""
    return (
        np.mean(np.square(samples, dtype=np.float64), axis=0) if len(samples) else np.zeros(samples.shape[1])
    )


def decibels(power: float) -> float:
    """Return a mean square in dB below full scale, at least -200."""
    return float(10 * np.log10(max(power, 1e-20)))


def surviving_channel(samples: np.ndarray) -> int | None:
    """Return the loudest channel where the average of all has lost the sound, else None.

    Args:
        samples: (frames, channels) in [-1, 1].
    """
    if samples.shape[1] < 2 or not np.isfinite(samples).all():
        return None
    each = powers(samples)
    average = powers(samples.mean(axis=1, keepdims=True))[0]
    loudest = int(each.argmax())
    lost_db = decibels(each[loudest]) - decibels(average)
    return loudest + 1 if decibels(each[loudest]) > HEARD_DB and lost_db > CANCELED_DB else None


class Mixer:
    """Makes one channel of a stream of several, and tells when a person should choose another.

    Args:
        channel: what is wished; None averages until the average cancels, and takes the loudest channel from
            that block on.
        rate_hz: samples per second.
    """

    def __init__(self, channel: Channel, rate_hz: int) -> None:
        self._channel, self._rate_hz = channel, rate_hz
        self._energy: np.ndarray | float = 0.0
        self._heard_s = 0.0
        self._noted = False
        self._notes: list[str] = []

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Return (frames,) float32 of (frames, channels) float32."""
        if samples.shape[1] == 1:
            return samples[:, 0]
        if self._channel is None and (found := surviving_channel(samples)) is not None:
            self._channel, self._noted = found, True
            self._notes.append(
                f"the channels cancel each other; channel {found}, the loudest, is listened to"
            )
        if not self._noted:
            self._compare(samples)
        if isinstance(self._channel, int):
            return samples[:, self._channel - 1]
        mixed: np.ndarray = samples.mean(axis=1, dtype=np.float32)
        return mixed

    def notes(self) -> tuple[str, ...]:
        """Return what was found since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def _compare(self, samples: np.ndarray) -> None:
        """Name a channel that is far louder than what is listened to."""
        each = powers(samples)
        if not decibels(each.max()) > HEARD_DB:
            return
        self._energy = self._energy + each * len(samples)
        self._heard_s += len(samples) / self._rate_hz
        if self._heard_s < NOTE_S:
            return
        order = np.argsort(self._energy)[::-1]
        first = int(order[0]) + 1
        other = self._channel if isinstance(self._channel, int) else int(order[1]) + 1
        apart_db = 10 * np.log10((self._energy[first - 1] + 1e-20) / (self._energy[other - 1] + 1e-20))
        self._noted = True
        if first != other and apart_db > LOUDER_DB:
            told = f"channel {first} is {min(apart_db, 99):.0f} dB louder than channel {other}"
            self._notes.append(f"{told}; hear it alone with `channel={first}`")
