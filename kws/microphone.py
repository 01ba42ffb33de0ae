"""Audio from a microphone as 16 kHz mono float32 blocks; used by :mod:`kws.live_microphone`.

sounddevice (PortAudio) is imported only when a device is touched. A device that refuses 16 kHz is opened at
its own rate and resampled here as the audio comes in, so that the device part of the package needs no
resampling library.
"""

from __future__ import annotations

import logging
import math
import queue
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from kws.audio import SAMPLE_RATE
from kws.channels import Channel, Mixer, check_channel
from kws.decoding.quiet import quiet_stderr
from kws.errors import AudioError, DependencyError

logger = logging.getLogger(__name__)

MAX_QUEUED_BLOCKS = 500
"""Blocks kept for a listener that is late (40 s at 80 ms); what comes after is dropped and counted."""

SILENT_DEVICE_S = 5.0
"""A device that delivers no block for so long is taken for unplugged."""

LOOK_S = 0.25
"""How often a reader without audio looks whether the device is still there, in seconds."""

CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
"""The clock that goes on while a machine sleeps, which Linux has beside the monotonic one."""

FILTER_ZERO_CROSSINGS = 32
"""Half length of the resampling filter, in periods of the lower rate: a delay of 2 ms at 16 kHz."""

KAISER_BETA = 9.0
"""About 90 dB of stop-band attenuation (Kaiser's formula: beta = 0.1102 (A - 8.7))."""

PASS_BAND = 0.91
"""Cut-off as a share of the lower rate's Nyquist frequency: the stop band of that filter begins at the
fold."""


class LostMicrophoneError(AudioError):
    """An open microphone delivers nothing any more: it was unplugged, or taken away."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """An input device as PortAudio lists it."""

    index: int
    """Number to choose it by."""
    name: str
    """Name; any part of it chooses the device too."""
    num_channels: int
    """Input channels."""
    sample_rate: int
    """The device's own rate in Hz."""
    is_default: bool
    """Taken when none is chosen."""


def list_devices() -> list[Microphone]:
    """Return the input devices of this machine.

    Raises:
        DependencyError: sounddevice or PortAudio is not installed.
        AudioError: PortAudio cannot list them.
    """
    with _quiet():
        sounddevice = _import_sounddevice()
        try:
            default, entries = sounddevice.default.device[0], sounddevice.query_devices()
        except sounddevice.PortAudioError as error:
            raise AudioError(
                f"microphones cannot be listed ({error}); is the sound server running?"
            ) from error
    return [
        Microphone(
            index,
            entry["name"],
            entry["max_input_channels"],
            round(entry["default_samplerate"]),
            index == default,
        )
        for index, entry in enumerate(entries)
        if entry["max_input_channels"] > 0
    ]


def find_device(wanted: int | str | None, devices: list[Microphone]) -> Microphone:
    """Choose an input device.

    Args:
        wanted: its index (also as text), a part of its name in any case, or None for the default one.
        devices: those of :func:`list_devices`.
    Raises:
        AudioError: there is none, none fits, or several fit; the message lists them.
    """
    if not devices:
        raise AudioError("no microphone was found; plug one in, or give a recording as `file`")
    known = "; ".join(f"{device.index}: {device.name}" for device in devices)
    if wanted is None:
        return next((device for device in devices if device.is_default), devices[0])
    text = str(wanted).strip().lower()
    if text.isdigit():
        found = [device for device in devices if device.index == int(text)]
    else:
        found = [device for device in devices if device.name.lower() == text]
        found = found or [device for device in devices if text in device.name.lower()]
    if not found:
        raise AudioError(f"no microphone matches {wanted!r}; known ones are {known}")
    if len(found) > 1:
        raise AudioError(f"{wanted!r} matches several microphones; choose one by its number: {known}")
    return found[0]


def play(waveform: np.ndarray) -> None:
    """Play a waveform on the default speaker, and return when it is over.

    Args:
        waveform: (samples,) float32 at ``SAMPLE_RATE``.
    Raises:
        DependencyError: sounddevice or PortAudio is not installed.
        AudioError: there is no speaker, or it cannot be opened.
    """
    sounddevice = _import_sounddevice()
    try:
        with _quiet():
            sounddevice.play(waveform, SAMPLE_RATE)
            sounddevice.wait()
    except (sounddevice.PortAudioError, ValueError) as error:  # ValueError: there is no device at all
        raise AudioError(f"nothing can be played here ({error}); listen to the file instead") from error


class MicrophoneStream:
    """An open microphone; use it in a ``with`` statement and call :meth:`read`.

    Args:
        device: as in :func:`find_device`.
        block_samples: samples of one block at ``SAMPLE_RATE``.
        channel: see :data:`kws.channels.Channel`; without it, two are listened to where there are two.
    Raises:
        DependencyError: sounddevice or PortAudio is not installed.
        AudioError: no such device, or it can be opened in no way.
        ConfigError: it does not have the channel.
    """

    def __init__(self, device: int | str | None, block_samples: int, channel: Channel = None) -> None:
        self._queue: queue.Queue[tuple[np.ndarray, float]] = queue.Queue(MAX_QUEUED_BLOCKS)
        self._num_overflows = 0
        self._last_s: float | None = None
        self._gap_s = 0.0
        self.microphone = find_device(device, list_devices())
        check_channel(channel, self.microphone.num_channels, f"microphone {self.microphone.name}")
        self._stream, self.rate_hz = self._open(block_samples, channel)
        self._mixer = Mixer(channel, self.rate_hz)
        self._resampler = None if self.rate_hz == SAMPLE_RATE else StreamResampler(self.rate_hz, SAMPLE_RATE)

    def _open(self, block_samples: int, channel: Channel) -> tuple[Any, int]:
        """Open at 16 kHz, else at the device's own rate, with two channels, one or all, or as is wished."""
        sounddevice = _import_sounddevice()
        own = self.microphone
        refusal: Exception | None = None
        wished = (min(2, own.num_channels), 1, own.num_channels) if channel is None else (own.num_channels,)
        for rate_hz in dict.fromkeys((SAMPLE_RATE, own.sample_rate)):
            for num_channels in dict.fromkeys(wished):
                try:
                    with _quiet():
                        stream = sounddevice.InputStream(
                            samplerate=rate_hz,
                            blocksize=math.ceil(block_samples * rate_hz / SAMPLE_RATE),
                            device=own.index,
                            channels=num_channels,
                            dtype="float32",
                            callback=self._take,
                        )
                    return stream, rate_hz
                except sounddevice.PortAudioError as error:
                    refusal = error
        raise AudioError(
            f"{described(own)} cannot be opened at {SAMPLE_RATE} or {own.sample_rate} Hz "
            f"({refusal}); close other programs that use it, or choose another `device`"
        )

    def _take(self, block: np.ndarray, frames: int, times: Any, status: Any) -> None:
        """Keep a block; runs in PortAudio's thread, so it does no more than that."""
        now_s = clock_s()
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        if status.input_overflow:
            self._num_overflows += 1
        try:
            self._queue.put_nowait((block.copy(), gap_s))
        except queue.Full:
            self._num_overflows += 1

    @property
    def num_overflows(self) -> int:
        """How often audio was lost because the device or the listener was late."""
        return self._num_overflows

    @property
    def gap_s(self) -> float:
        """Time between the arrival of the block that was read last and of the one before it, in seconds.

        It counts the time in which the machine slept, where the system can tell.
        """
        return self._gap_s

    def read(self) -> np.ndarray:
        """Wait for the next block and return it.

        Returns:
            (samples,) float32 at ``SAMPLE_RATE``; clipped to [-1, 1], and silent where the driver gave no
            number.
        Raises:
            LostMicrophoneError: the device delivers nothing any more.
        """
        block, self._gap_s = self._next_block()
        waveform = self._mixer.push(np.nan_to_num(block, posinf=0.0, neginf=0.0))
        if self._resampler is not None:
            waveform = self._resampler.push(waveform)
        clipped: np.ndarray = np.clip(waveform, -1.0, 1.0)
        return clipped

    def _next_block(self) -> tuple[np.ndarray, float]:
        """Wait for a block in short steps, so that a machine that slept meanwhile has not waited."""
        look_s = min(LOOK_S, SILENT_DEVICE_S)
        for _ in range(math.ceil(SILENT_DEVICE_S / look_s)):
            try:
                return self._queue.get(timeout=look_s)
            except queue.Empty:
                if not self._stream.active:  # PortAudio has ended it, and brings nothing more
                    break
        raise LostMicrophoneError(
            f"{described(self.microphone)} has delivered no audio for {SILENT_DEVICE_S:g} s, or has gone; "
            "plug it in again or choose another `device`"
        )

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of the channels since the last call."""
        return self._mixer.notes()

    def __enter__(self) -> MicrophoneStream:
        """Start recording.

        Raises:
            AudioError: the device cannot be started.
        """
        sounddevice = _import_sounddevice()
        try:
            with _quiet():
                self._stream.start()
        except sounddevice.PortAudioError as error:
            self._close()
            raise AudioError(
                f"{described(self.microphone)} cannot be started ({error}); choose another `device`"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop recording and free the device."""
        self._close()

    def _close(self) -> None:
        """Free the device; what PortAudio says of one that has gone is no news."""
        with _quiet():
            self._stream.close(ignore_errors=True)


def described(microphone: Microphone) -> str:
    """Return how messages name a microphone."""
    return f"microphone {microphone.index} ({microphone.name})"


def clock_s() -> float:
    """Return seconds that only go forward, and go on while the machine sleeps where the system counts so."""
    return time.monotonic() if CLOCK is None else time.clock_gettime(CLOCK)


def refresh_devices() -> None:
    """Let PortAudio look again for devices: it lists those that were there when it started.

    This ends every other stream of PortAudio in the program.

    Raises:
        DependencyError: see :func:`list_devices`.
    """
    sounddevice = _import_sounddevice()
    for renew in (sounddevice._terminate, sounddevice._initialize):
        with _quiet(), suppress(sounddevice.PortAudioError):  # what still fails is said by the next call
            renew()


class StreamResampler:
    """Resample a stream block by block: a polyphase windowed-sinc filter with linear phase.

    The output is that of one filter over the whole stream, whatever the blocks, and is late by
    ``FILTER_ZERO_CROSSINGS`` periods of the lower rate.

    Args:
        source_rate_hz: rate of what is pushed.
        target_rate_hz: rate of what comes out.
    """

    def __init__(self, source_rate_hz: int, target_rate_hz: int) -> None:
        divisor = math.gcd(source_rate_hz, target_rate_hz)
        self._up, self._down = target_rate_hz // divisor, source_rate_hz // divisor
        self._bank = _polyphase_bank(self._up, self._down)  # (phase, tap)
        self._history = np.zeros(self._bank.shape[1] - 1, np.float32)
        self._position = 0  # of the next output, on the grid of both rates, from the first new input sample

    def push(self, block: np.ndarray) -> np.ndarray:
        """Take (samples,) float32 and return the samples that are now complete, (samples,) float32."""
        num_taps = self._bank.shape[1]
        padded = np.concatenate([self._history, block])
        grid = np.arange(self._position, len(block) * self._up, self._down)
        self._position = self._position + len(grid) * self._down - len(block) * self._up
        self._history = padded[len(padded) - (num_taps - 1) :]
        if not grid.size:
            return np.zeros(0, np.float32)
        every_window = np.lib.stride_tricks.sliding_window_view(padded, num_taps)
        windows = every_window[grid // self._up]  # (output, tap)
        waveform: np.ndarray = np.einsum("nt,nt->n", windows, self._bank[grid % self._up]).astype(np.float32)
        return waveform


def _polyphase_bank(up: int, down: int) -> np.ndarray:
    """Return (up, taps) float64: row p makes outputs at phase p / up; its taps run from old to new."""
    lower = max(up, down)  # one period of the lower rate, on the grid common to both rates
    center = FILTER_ZERO_CROSSINGS * lower
    num_taps = 2 * math.ceil(center / up)
    behind = (
        np.arange(num_taps)[::-1] * up + np.arange(up)[:, None]
    )  # (phase, tap), from each input to the output
    distance = (behind - center) / lower  # in periods of the lower rate
    inside = np.clip(1 - (distance / FILTER_ZERO_CROSSINGS) ** 2, 0, None)
    window = np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA)
    taps = np.sinc(PASS_BAND * distance) * window
    bank: np.ndarray = taps / taps.sum(axis=1, keepdims=True)
    return bank


def _quiet() -> AbstractContextManager[None]:
    """Keep what PortAudio and ALSA write to the terminal away from it, unless what is done is logged."""
    return nullcontext() if logger.isEnabledFor(logging.INFO) else quiet_stderr()


def _import_sounddevice() -> ModuleType:
    """Import sounddevice, or say what to install."""
    try:
        import sounddevice
    except ImportError as error:
        raise DependencyError('the microphone needs sounddevice: `pip install "kws[mic]"`') from error
    except OSError as error:  # the Linux wheel brings no PortAudio
        raise DependencyError(
            "the microphone needs the PortAudio library: `sudo apt-get install libportaudio2` on Debian, "
            f"Ubuntu and Raspberry Pi OS, `sudo dnf install portaudio` on Fedora ({error})"
        ) from error
    module: ModuleType = sounddevice
    return module
