"""A day of audio through one detector, as fast as it goes: does memory grow, do scores drift?

    python -m benchmarks.soak MODEL --hours 24

Audio is pushed 80 ms at a time. After each hour the memory of the process is noted. The last hour is also
heard by a detector that is opened anew and hears the seconds before it, as much as any state holds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from export import signals
from kws import Detector
from kws.audio import SAMPLE_RATE, to_int16

BASE_S = 120.0
"""Speech-like sound that is cut and scaled anew for every chunk, in seconds."""
WARM_UP_S = 30.0
"""What a new detector hears before it is compared: more than the state of an encoder and a head holds."""
CHUNK = 1280


@dataclass(frozen=True, slots=True)
class Soak:
    """What a long stream did to a detector."""

    hours: float
    """Of audio."""
    memory_mb: tuple[float, ...]
    """Of the process after each hour, in megabytes."""
    detections: int
    """In all of it."""
    largest_difference: float
    """Between scores of the last hour and those of a new detector."""

    @property
    def growth_mb(self) -> float:
        """Of the memory after the first hour, in megabytes."""
        return max(self.memory_mb) - self.memory_mb[0]


def sound(hour: int, seconds: float, base: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (1280,) int16 chunks of an hour: cuts of a base at places and levels drawn for the hour.

    Args:
        hour: which; the same one gives the same sound.
        seconds: its length.
        base: (samples,) int16.
    """
    generator = np.random.default_rng((7, hour))
    for _ in range(round(seconds * SAMPLE_RATE) // CHUNK):
        start = int(generator.integers(len(base) - CHUNK))
        yield (base[start : start + CHUNK] * generator.uniform(0.1, 1.0)).astype(np.int16)


def soak(model: Path, hours: int, hour_s: float = 3600.0) -> Soak:
    """Let a detector hear hours of sound.

    Args:
        model: exported file.
        hours: how many, 1 or more.
        hour_s: length of one, in seconds; a shorter one is a quick test.
    """
    base = to_int16(signals.speech_like(BASE_S))
    detector, fresh = Detector(model), Detector(model)
    memory, detections, difference = [], 0, 0.0
    warm = round(WARM_UP_S * SAMPLE_RATE) // CHUNK
    for hour in tqdm(range(hours), "soak", unit="h", disable=None):
        last = hour == hours - 1
        for number, chunk in enumerate(sound(hour, hour_s, base)):
            scores, heard = detector.push(chunk)
            detections += len(heard)
            if last:
                again = fresh.scores(chunk)
                if number >= warm:
                    difference = max(difference, float(np.abs(scores - again).max(initial=0.0)))
        memory.append(resident_mb())
    return Soak(hours * hour_s / 3600, tuple(memory), detections, difference)


def resident_mb() -> float:
    """Return the memory that this process holds now, in megabytes; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="exported .onnx")
    parser.add_argument("--hours", type=int, default=24, help="of audio (default: 24)")
    arguments = parser.parse_args()
    found = soak(arguments.model, arguments.hours)
    print(
        f"{found.hours:g} h of audio, {found.detections} detections; memory {found.memory_mb[0]:.1f} MB "
        f"after the first hour and at most {found.growth_mb:.2f} MB more after it; scores of the last hour "
        f"differ from those of a new detector by {found.largest_difference:g}"
    )


if __name__ == "__main__":
    main()
