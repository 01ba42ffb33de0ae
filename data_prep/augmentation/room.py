"""Reverberation by simulated (or recorded) rooms, made once per process, that leave the timing alone.

A simulated response is the direct path (1 at delay 0, exactly), the shoebox image sources of pyroomacoustics
up to the time where an image of higher order could arrive, and from there a Gaussian tail that falls at the
wanted reverberation time. The tail starts at the level that the density of images gives; nothing is fitted.
Full-order image sources would cost seconds a room, and late reflections are as dense as noise anyway.
Left out: walls that absorb high frequencies more, the mouth's directivity, and furniture.
Source: Allen & Berkley 1979, doi:10.1121/1.382599 (images); Moorer 1979, doi:10.2307/3680280 (noise tails).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy import signal

from data_prep.augmentation.base import (
    Params,
    Transform,
    check_probability,
    check_range,
    chosen,
    uniform,
)
from data_prep.augmentation.levels import active_rms
from data_prep.augmentation.seeding import stable_rng
from kws import audio
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError, DependencyError

SPEED_OF_SOUND_M_S = 343.0
IMAGE_ORDER = 10
"""Most reflections on a path; complete for the first 50 to 100 ms of a living room (1561 images, 0.5 ms)."""
FADE_SAMPLES = SAMPLE_RATE // 100
"""The image sources give way to the tail within 10 ms."""
TAIL_DROP_DB = 50.0
"""A response ends where it has fallen this far."""
LOWEST_REFLECTION_HZ = 80.0
"""All images have the same sign, so they would pile up to a rumble under the lowest room mode."""
HALF_TAPS = 8
"""Half the length of the windowed sinc that places an image between two samples."""
WALL_DISTANCE_M = 0.3
"""Source and microphone stay this far from every wall."""
SMALLEST_ROOM_M, LARGEST_ROOM_M = (2.5, 2.5, 2.3), (10.0, 8.0, 4.0)
MAX_PLACEMENTS = 2000
"""Rooms tried until one holds the drawn distance."""
MAX_RECORDED_SAMPLES = 3 * SAMPLE_RATE // 2
"""Recorded responses are cut at 1.5 s after the direct path."""
MOST_READ_SAMPLES = 20 * SAMPLE_RATE
"""Read of a recorded response: a file of hours is none."""
PRE_ECHO_SAMPLES = SAMPLE_RATE // 100
"""Filters of a measurement ring within 10 ms before the direct path."""
DIRECT_SHARE_MIN, BEFORE_SHARE_MAX = 0.007, 0.3
"""What tells a response from speech: the energy of its loudest sample, and what comes before. Of 60 simulated
rooms of up to 1.2 s the least share was 1.9 %; of 150 recordings of single words the largest 0.6 %, and half
of them had 40 % before."""


@dataclass(frozen=True, slots=True)
class RoomBank:
    """Which impulse responses to use; they are made at first use and kept for the process."""

    num_rooms: int = 100
    """Simulated rooms, one response each."""

    rt60_s: tuple[float, ...] = (0.15, 0.8)
    """Shortest and longest reverberation time (s), drawn evenly."""

    distance_m: tuple[float, ...] = (0.5, 5.0)
    """Shortest and longest distance from mouth to microphone (m), drawn evenly."""

    seed: int = 0
    """Seed of the rooms."""

    split: str = "train"
    """Part of the seed: train, dev and test get different rooms."""

    paths: tuple[Path, ...] = ()
    """Recorded impulse responses to use instead; everything above is then without effect."""

    def __post_init__(self) -> None:
        """Check ranges."""
        object.__setattr__(self, "paths", tuple(Path(path) for path in self.paths))
        if not 1 <= self.num_rooms <= 5000:
            raise ConfigError(f"rooms.num_rooms: got {self.num_rooms}, allowed 1 to 5000 (30 kB each)")
        check_range("rooms.rt60_s", self.rt60_s, 0.05, 3.0)
        check_range("rooms.distance_m", self.distance_m, 0.1, 8.0)

    def __len__(self) -> int:
        """Return the number of responses."""
        return len(self.paths) or self.num_rooms

    @property
    def responses(self) -> tuple[np.ndarray, ...]:
        """Impulse responses, each (samples,) float32 with the direct path, 1, at index 0."""
        return _responses(self)


@lru_cache(maxsize=8)
def _responses(bank: RoomBank) -> tuple[np.ndarray, ...]:
    """Make or read the responses of a bank."""
    if bank.paths:
        return tuple(_recorded_response(path) for path in bank.paths)
    return tuple(_simulated_response(bank, index) for index in range(bank.num_rooms))


def _recorded_response(path: Path) -> np.ndarray:
    """Read a response and cut it at its loudest sample, taken for the direct path.

    Of several microphones the first is read: the mean of several is no room.

    Raises:
        AudioError: the file cannot be read.
        ConfigError: it is silent, or what it holds is no impulse response.
    """
    several = audio.info(path).channels > 1
    read_s = audio.samples_to_seconds(MOST_READ_SAMPLES)
    pieces = list(audio.blocks(path, length_s=read_s, channel=1 if several else None))
    recording = np.concatenate(pieces) if pieces else np.zeros(1, np.float32)
    energy = np.square(recording, dtype=np.float64)
    start, total = int(energy.argmax()), float(energy.sum())
    if total == 0.0:
        raise ConfigError(f"{path}: is silent, expected a room impulse response; remove it from the rooms")
    before = float(energy[: max(0, start - PRE_ECHO_SAMPLES)].sum()) / total
    if energy[start] / total < DIRECT_SHARE_MIN or before > BEFORE_SHARE_MAX:
        raise ConfigError(
            f"{path}: is no room impulse response: its loudest sample holds {energy[start] / total:.2%} of "
            f"the energy (at least {DIRECT_SHARE_MIN:.1%} is expected) and {before:.0%} comes before it (at "
            f"most {BEFORE_SHARE_MAX:.0%}); give recordings of impulses or of measured responses"
        )
    response: np.ndarray = recording[start : start + MAX_RECORDED_SAMPLES] / recording[start]
    return response


def _simulated_response(bank: RoomBank, index: int) -> np.ndarray:
    """Draw one room of a bank and simulate it."""
    rng = stable_rng(bank.seed, "room", bank.split, index)
    rt60_s, distance_m = uniform(rng, bank.rt60_s), uniform(rng, bank.distance_m)
    return shoebox_response(*_place(rng, distance_m), rt60_s, rng)


def shoebox_response(
    size_m: np.ndarray,
    source_m: np.ndarray,
    microphone_m: np.ndarray,
    rt60_s: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Simulate the impulse response of a box-shaped room.

    Args:
        size_m: (3,) length, width and height (m).
        source_m: (3,) where the mouth is (m).
        microphone_m: (3,) where the microphone is (m).
        rt60_s: time in which the sound falls by 60 dB (s).
        rng: draws the tail.
    Returns:
        (samples,) float32, relative to the direct path: 1 at index 0.
    Raises:
        DependencyError: pyroomacoustics is not installed.
    """
    distance_m = float(np.linalg.norm(source_m - microphone_m))
    volume_m3 = float(size_m.prod())
    # A path through n walls takes at least n / (c |1/size|): the fastest direction is that of 1/size.
    complete_s = IMAGE_ORDER / (SPEED_OF_SOUND_M_S * float(np.linalg.norm(1 / size_m)))
    direct_s = distance_m / SPEED_OF_SOUND_M_S
    mix = max(round((complete_s - direct_s) * SAMPLE_RATE), FADE_SAMPLES + 1)
    length = mix + round(rt60_s * TAIL_DROP_DB / 60.0 * SAMPLE_RATE)

    reflections = _image_sources(size_m, source_m, microphone_m, rt60_s, distance_m, mix)
    rumble = signal.butter(2, LOWEST_REFLECTION_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
    response = np.zeros(length)
    response[:mix] = signal.sosfilt(rumble, reflections)
    # 4 pi c^3 t^2 / V images a second, each of power (distance / ct)^2: their product does not depend on t,
    # so that absorption alone makes the tail fall.
    power = 4 * np.pi * SPEED_OF_SOUND_M_S * distance_m**2 / (volume_m3 * SAMPLE_RATE)
    time_s = np.arange(mix - FADE_SAMPLES, length) / SAMPLE_RATE + direct_s
    tail = rng.standard_normal(time_s.size) * np.sqrt(power * 10.0 ** (-6.0 * time_s / rt60_s))
    fade = (np.arange(FADE_SAMPLES) + 0.5) / FADE_SAMPLES * np.pi / 2
    response[mix - FADE_SAMPLES : mix] *= np.cos(fade)
    tail[:FADE_SAMPLES] *= np.sin(fade)
    response[mix - FADE_SAMPLES :] += tail
    response[0] = 1.0
    return response.astype(np.float32)


def _place(rng: np.random.Generator, distance_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a room (3,) and a source and a microphone (3,) in it, in metres, that are ``distance_m`` apart."""
    for _ in range(MAX_PLACEMENTS):
        size_m = rng.uniform(SMALLEST_ROOM_M, LARGEST_ROOM_M)
        microphone_m = rng.uniform(WALL_DISTANCE_M, size_m - WALL_DISTANCE_M)
        direction = rng.standard_normal(3) * (1.0, 1.0, 0.3)  # people and devices differ little in height
        source_m = microphone_m + distance_m * direction / np.linalg.norm(direction)
        if (source_m > WALL_DISTANCE_M).all() and (source_m < size_m - WALL_DISTANCE_M).all():
            return size_m, source_m, microphone_m
    raise ConfigError(
        f"RoomBank.distance_m: {distance_m:.1f} m fits into no drawn room; lower the largest distance to 6 m"
    )


def _image_sources(
    size_m: np.ndarray,
    source_m: np.ndarray,
    microphone_m: np.ndarray,
    rt60_s: float,
    distance_m: float,
    length: int,
) -> np.ndarray:
    """Return the reflections, (length,), relative to the direct path in level and time; index 0 is empty."""
    try:
        import pyroomacoustics
    except ImportError as error:
        raise DependencyError(
            "simulated rooms need pyroomacoustics: `pip install pyroomacoustics`, "
            "or, from Python, give recorded responses as `RoomBank(paths=…)`"
        ) from error
    surface_m2 = 2 * float(size_m.prod()) * float((1 / size_m).sum())
    # Eyring's formula solved for the absorption: image sources lose the same share at each reflection.
    absorption = 1 - np.exp(-24 * np.log(10) * size_m.prod() / (SPEED_OF_SOUND_M_S * surface_m2 * rt60_s))
    room = pyroomacoustics.ShoeBox(
        size_m, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(float(absorption)), max_order=IMAGE_ORDER
    )
    room.add_source(source_m)
    room.add_microphone(microphone_m)
    room.image_source_model()
    path_m = np.linalg.norm(room.sources[0].images - microphone_m[:, None], axis=0)  # (images,)
    delay = (path_m - distance_m) / SPEED_OF_SOUND_M_S * SAMPLE_RATE
    amplitude = room.sources[0].damping[0] * distance_m / path_m
    reflected = (delay > 1e-3) & (delay < length + HALF_TAPS)  # the direct path alone has delay 0
    delay, amplitude = delay[reflected], amplitude[reflected]

    first = np.floor(delay).astype(np.int64) - HALF_TAPS + 1
    taps = first[:, None] + np.arange(2 * HALF_TAPS)  # (images, taps), sample indices
    offset = taps - delay[:, None]
    pulses = amplitude[:, None] * np.sinc(offset) * np.cos(np.pi / 2 * offset / HALF_TAPS) ** 2
    inside = (taps >= 1) & (taps < length)
    return np.bincount(taps[inside], weights=pulses[inside], minlength=length)


@dataclass(frozen=True, slots=True)
class SimulatedRoom(Transform):
    """Put a clip into a room; its length and the direct sound's arrival stay, echo past the end is cut."""

    name: ClassVar[str] = "simulated_room"

    rooms: RoomBank = RoomBank()
    """Impulse responses; train, dev and test take banks of another split or of disjoint files."""

    probability: float = 0.5
    """Share of samples that are put into a room."""

    keep_level: bool = True
    """Bring the active level back to the input's; if not, echo adds to the unchanged direct sound."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_probability("simulated_room.probability", self.probability)

    def draw(self, rng: np.random.Generator) -> Params:
        """Draw the room."""
        if not chosen(rng, self.probability):
            return {}
        return {"room": int(rng.integers(len(self.rooms)))}

    def apply(self, waveform: np.ndarray, params: Params) -> np.ndarray:
        """Convolve with the drawn room's response."""
        if not params:
            return waveform
        response = self.rooms.responses[params["room"]][: waveform.size]  # what comes later would be cut off
        reverberant: np.ndarray = signal.oaconvolve(waveform, response)[: waveform.size]
        if self.keep_level:
            level = active_rms(reverberant)
            if level > 0.0:
                reverberant *= np.float32(active_rms(waveform) / level)
        return reverberant
