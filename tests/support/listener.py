"""A program that listens, with faults of a device that no sound server makes; run with ``python -m``.

Arguments are the model and a JSON object: ``threshold``, ``channel``, ``late`` (a share of blocks comes late,
or as one with the next), ``slow`` (a share of blocks keeps the program busy), ``rate_hz`` and
``num_channels`` (all that the device takes). It prints a JSON line for each detection and each note.
"""

from __future__ import annotations

import json
import random
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import sounddevice

from kws.listening import ListenEvent, listen

LATE_S = 0.3
"""How long a late block is held back, and a slow program is busy."""


def main() -> None:
    """Listen until Ctrl-C."""
    model, faults = sys.argv[1], json.loads(sys.argv[2])
    _restrict(faults)
    draw = random.Random(1)
    counts = SimpleNamespace(blocks=0, slow=0, lost=0)

    def show(event: ListenEvent) -> None:
        for detection in event.detections:
            print(json.dumps({"keyword": detection.keyword, "time_s": detection.time_s}), flush=True)
        for note in event.notes:
            print(json.dumps({"note": note}), flush=True)
        counts.blocks += 1
        counts.lost = event.num_overflows
        if draw.random() < faults.get("slow", 0):
            counts.slow += 1
            time.sleep(LATE_S)

    listen(
        model, device="default", threshold=faults["threshold"], channel=faults.get("channel"), on_event=show
    )
    print(json.dumps(vars(counts) | {"late": _late.count}), flush=True)


_late = SimpleNamespace(count=0)


def _restrict(faults: dict[str, Any]) -> None:
    """Put devices with these faults in the place of those that PortAudio opens."""
    query, stream = sounddevice.query_devices, sounddevice.InputStream
    rate_hz, num_channels = faults.get("rate_hz"), faults.get("num_channels")

    def query_devices(*which: Any) -> Any:
        if which:  # sounddevice itself asks for one
            return query(*which)
        own = {} if rate_hz is None else {"default_samplerate": rate_hz, "max_input_channels": num_channels}
        return [{**entry, **own} for entry in query()]

    def open_stream(**settings: Any) -> Any:
        if rate_hz is not None and (settings["samplerate"], settings["channels"]) != (rate_hz, num_channels):
            raise sounddevice.PortAudioError("Invalid sample rate")
        settings["callback"] = _held_back(settings["callback"], faults.get("late", 0))
        return stream(**settings)

    sounddevice.query_devices, sounddevice.InputStream = query_devices, open_stream


def _held_back(callback: Any, share: float) -> Any:
    """Return a callback that keeps a share of the blocks: half come late, half in one with the next."""
    draw = random.Random(2)
    kept: list[np.ndarray] = []

    def take(block: np.ndarray, frames: int, times: Any, status: Any) -> None:
        if kept:
            block = np.concatenate([*kept, block])
            kept.clear()
        elif draw.random() < share:
            _late.count += 1
            if draw.random() < 0.5:
                kept.append(block.copy())
                return
            time.sleep(LATE_S)
        callback(block, len(block), times, status)

    return take


if __name__ == "__main__":
    main()
