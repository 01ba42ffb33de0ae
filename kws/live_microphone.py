"""A microphone that may vanish and return: what :mod:`kws.listening` reads where it reads no file.

It waits for a microphone that was unplugged, opens it again and says one line at either end. What a device
does as it starts is not heard. Where audio does not join what came before, its reader is told.
"""

from __future__ import annotations

import math
import time
from types import TracebackType

import numpy as np

from kws import microphone
from kws.audio import seconds_to_samples
from kws.channels import Channel
from kws.errors import AudioError, ConfigError
from kws.microphone import LostMicrophoneError, MicrophoneStream, described

RECONNECT_S = 300.0
"""How long a microphone that has gone is waited for unless it is said otherwise."""

RETRY_S, LONGEST_RETRY_S = 0.5, 2.0
"""Time to the first try to open it again, which doubles with each up to the longest."""

MUTED_S = 0.2
"""Silence in place of the first audio of a microphone: the click, the step and the gain of its start."""

RISE_S = 0.1
"""Time in which it rises from that silence to its full level."""

GAP_S = 5.0
"""Audio after so long a time without any joins nothing: the machine slept, or the program was stopped."""

NOTHING = np.zeros(0, np.float32)
"""No samples."""


class LiveMicrophone:
    """An open microphone, waited for when it goes; use it in a ``with`` statement and call :meth:`read`.

    Args:
        device: as in :func:`kws.microphone.find_device`. One that was chosen by its number is found again by
            its name, the system's default is whatever the system then takes.
        block_samples: samples of one block at ``SAMPLE_RATE``.
        channel: see :data:`kws.channels.Channel`.
        reconnect_s: how long one that has gone is waited for, in seconds; 0 waits for none.
    Raises:
        ConfigError: ``reconnect_s`` is no time; or see :class:`kws.microphone.MicrophoneStream`.
        DependencyError, AudioError: see there.
    """

    def __init__(
        self, device: int | str | None, block_samples: int, channel: Channel, reconnect_s: float
    ) -> None:
        if not (math.isfinite(reconnect_s) and reconnect_s >= 0):
            raise ConfigError(f"`reconnect_s`: got {reconnect_s}, allowed: 0 or more seconds")
        self._block_samples, self._channel, self._reconnect_s = block_samples, channel, reconnect_s
        stream = MicrophoneStream(device, block_samples, channel)
        self._stream: MicrophoneStream | None = stream
        self._microphone = stream.microphone
        self._wanted = device
        if device is not None and str(device).strip().isdigit():
            self._wanted = self._microphone.name.partition(" (hw:")[0]
        self._settle = Settle()
        self._overflows_before = 0
        self._gone_s = 0.0
        self._retry_s = RETRY_S
        self._broken = False
        self._notes: list[str] = []

    @property
    def num_overflows(self) -> int:
        """How often audio was lost because the device or the listener was late."""
        return self._overflows_before + (0 if self._stream is None else self._stream.num_overflows)

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of the microphone and its channels since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def broken(self) -> bool:
        """Return, once, whether the audio that was read last does not join what was read before it."""
        broken, self._broken = self._broken, False
        return broken

    def read(self) -> np.ndarray:
        """Wait for the next block and return it.

        Returns:
            (samples,) float32 at ``SAMPLE_RATE``; none when the microphone has gone, and after each try to
            open it again that fails.
        Raises:
            AudioError: it has gone, and did not return in time.
        """
        if self._stream is None:
            return self._try_again()
        try:
            block = self._stream.read()
        except LostMicrophoneError:
            if not self._reconnect_s:
                raise
            self._let_go()
            self._gone_s, self._retry_s = time.monotonic(), RETRY_S
            self._notes.append(
                f"{described(self._microphone)} has gone; it is waited for up to {self._reconnect_s:g} s"
            )
            return NOTHING
        if self._stream.gap_s >= GAP_S:
            self._start_afresh()
            gap_s = f"{self._stream.gap_s:.0f} s"
            self._notes.append(
                f"no audio came for {gap_s}, as if the machine slept; the stream starts afresh"
            )
        self._notes += self._stream.notes()
        return self._settle.push(block)

    def _try_again(self) -> np.ndarray:
        """Wait a little, and open the microphone again if it is there and delivers audio."""
        left_s = self._gone_s + self._reconnect_s - time.monotonic()
        time.sleep(max(0.0, min(self._retry_s, left_s)))
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        microphone.refresh_devices()
        try:
            self._stream = MicrophoneStream(self._wanted, self._block_samples, self._channel).__enter__()
            block = self._stream.read()
        except (AudioError, ConfigError) as error:  # another device may lack the channel
            self._let_go()
            if time.monotonic() - self._gone_s < self._reconnect_s:
                return NOTHING
            raise AudioError(
                f"{described(self._microphone)} has gone and did not return within {self._reconnect_s:g} s; "
                "plug it in again or choose another `device`"
            ) from error
        self._microphone = self._stream.microphone
        self._start_afresh()
        away_s = time.monotonic() - self._gone_s
        self._notes.append(
            f"{described(self._microphone)} is back after {away_s:.1f} s; the stream starts afresh"
        )
        return self._settle.push(block)

    def _start_afresh(self) -> None:
        self._settle, self._broken = Settle(), True

    def _let_go(self) -> None:
        """Close a microphone that has gone; what it lost stays counted."""
        if self._stream is not None:
            self._stream.__exit__(None, None, None)
            self._overflows_before += self._stream.num_overflows
        self._stream = None

    def __enter__(self) -> LiveMicrophone:
        """Start recording."""
        if self._stream is not None:
            self._stream.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop recording and free the device."""
        if self._stream is not None:
            self._stream.__exit__(kind, error, trace)


class Settle:
    """Takes what a microphone does as it starts from its audio: ``MUTED_S`` of silence, then a rise."""

    def __init__(self) -> None:
        rise = np.linspace(0, 1, seconds_to_samples(RISE_S), endpoint=False, dtype=np.float32)
        self._gains = np.concatenate([np.zeros(seconds_to_samples(MUTED_S), np.float32), rise])

    def push(self, block: np.ndarray) -> np.ndarray:
        """Return (samples,) float32 as they count."""
        if not self._gains.size:
            return block
        gains, self._gains = self._gains[: len(block)], self._gains[len(block) :]
        settled = block.copy()
        settled[: len(gains)] *= gains
        return settled
