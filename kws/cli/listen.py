"""`kws listen`: prints what :func:`kws.listen.listen` hears, with a level meter when a person is watching."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kws.detector import Detector
    from kws.listen import ListenEvent

NAME = "listen"
HELP = "hear the phrase through a microphone, or in a recording"

METER_FLOOR_DB = -60.0
"""Level at which the meter is empty: below the noise of a quiet room on most microphones."""

METER_CELLS = 20

SILENCE_HINT_S = 3.0
"""Digital silence of this length from a microphone means that it is muted or not permitted; no room
is so quiet."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", nargs="?", help="exported .onnx file")
    parser.add_argument("--file", metavar="AUDIO", help="read this recording instead of the microphone")
    parser.add_argument(
        "--device", help="microphone: its number or a part of its name; without it, the system's default"
    )
    parser.add_argument("--list-devices", action="store_true", help="list the microphones and end")
    parser.add_argument(
        "--threshold",
        action="append",
        metavar="[KEYWORD=]VALUE",
        help="score within 0..1 from which a keyword counts, for all or for one; may be repeated; "
        "without it, the thresholds in the file",
    )
    parser.add_argument(
        "--refractory",
        type=float,
        metavar="SECONDS",
        help="shortest time between two detections; without it, the one in the file",
    )
    parser.add_argument(
        "--save",
        metavar="FOLDER",
        help="save the 2.5 s around each detection as WAV in this folder; without it, nothing is saved",
    )
    parser.add_argument(
        "--duration", type=float, metavar="SECONDS", help="stop after so much audio; without it, at Ctrl-C"
    )


def run(args: argparse.Namespace) -> int:
    """Listen and print; returns 0 at the end of the recording, of the time, or at Ctrl-C."""
    from kws.detector import Detector
    from kws.errors import ConfigError
    from kws.listen import list_devices, listen

    if args.list_devices:
        for device in list_devices():
            mark = "*" if device.is_default else " "
            form = f"({device.num_channels} channels, {device.sample_rate} Hz)"
            print(f"{mark}{device.index:3d}  {device.name}  {form}")
        return 0
    if args.model is None:
        raise ConfigError("which model? Give the exported file: `kws listen MODEL.onnx`")
    detector = Detector(args.model, threshold=parse_thresholds(args.threshold), refractory_s=args.refractory)
    printer = Printer(detector, live=args.file is None)
    printer.start()
    summary = listen(
        detector,
        device=args.device,
        save_folder=None if args.save is None else Path(args.save),
        file=args.file,
        duration_s=args.duration,
        on_event=printer.show,
    )
    printer.clear()
    lost = f", audio lost {summary.num_overflows} times" if summary.num_overflows else ""
    print(f"{summary.num_detections} detections in {summary.duration_s:.1f} s{lost}", file=sys.stderr)
    return 0


def parse_thresholds(texts: list[str] | None) -> float | dict[str, float] | None:
    """Turn ``["0.6"]`` into 0.6 and ``["hey computer=0.6", ...]`` into a mapping.

    Raises:
        ConfigError: no number, or a general value beside one for a keyword.
    """
    from kws.errors import ConfigError

    if not texts:
        return None
    by_keyword: dict[str, float] = {}
    for text in texts:
        keyword, _, number = text.rpartition("=")
        try:
            by_keyword[keyword.strip()] = float(number)
        except ValueError as error:
            raise ConfigError(f"--threshold {text}: expected a number, such as 0.6 or keyword=0.6") from error
    if "" not in by_keyword:
        return by_keyword
    if len(by_keyword) > 1:
        raise ConfigError("--threshold: give one value for all keywords, or keyword=value for each, not both")
    return by_keyword[""]


class Printer:
    """Prints detections to standard output and, on a terminal, a meter line to standard error."""

    def __init__(self, detector: Detector, live: bool) -> None:
        self._detector = detector
        self._live = live
        self._meter = live and sys.stderr.isatty()
        self._silence_since_s: float | None = None
        self._hinted = False
        self._num_overflows = 0

    def start(self) -> None:
        """Say what is listened for."""
        words = ", ".join(
            f"{keyword} (from {threshold:.2f})" for keyword, threshold in self._detector.thresholds.items()
        )
        print(f"Listening for {words}{'; Ctrl-C ends' if self._live else ''}", file=sys.stderr, flush=True)

    def show(self, event: ListenEvent) -> None:
        """Print what one block brought."""
        if event.detections or event.saved:
            self.clear()
        for detection in event.detections:
            print(f"{clock(detection.time_s)}  {detection.keyword}  {detection.score:.3f}", flush=True)
        for path in event.saved:
            print(f"saved {path}", file=sys.stderr, flush=True)
        if event.num_overflows > self._num_overflows:
            self.clear()
            print(
                f"audio lost {event.num_overflows} times; is the processor busy?", file=sys.stderr, flush=True
            )
            self._num_overflows = event.num_overflows
        self._hint_at_silence(event)
        if self._meter and event.scores:
            print(
                f"\r\033[K{meter_line(event, self._detector.thresholds)}", end="", file=sys.stderr, flush=True
            )

    def clear(self) -> None:
        """Remove the meter line."""
        if self._meter:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _hint_at_silence(self, event: ListenEvent) -> None:
        """Tell once that a microphone gives digital silence."""
        if not self._live or self._hinted:
            return
        if event.level_db > -math.inf:
            self._silence_since_s = None
        elif self._silence_since_s is None:
            self._silence_since_s = event.time_s
        elif event.time_s - self._silence_since_s >= SILENCE_HINT_S:
            self._hinted = True
            self.clear()
            print(
                "the microphone gives digital silence: is it muted, or not permitted to this terminal?",
                file=sys.stderr,
            )


def clock(time_s: float) -> str:
    """Return seconds as ``h:mm:ss.ss``."""
    hundredths = round(time_s * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{hundredths // 100:02d}.{hundredths % 100:02d}"


def meter_line(event: ListenEvent, thresholds: dict[str, float]) -> str:
    """Return the level and the keyword nearest to its threshold as two bars on one line."""
    keyword = max(event.scores, key=lambda name: event.scores[name] - thresholds[name])
    score, level = event.scores[keyword], max(event.level_db, METER_FLOOR_DB)
    loud, sure = bar(1 - level / METER_FLOOR_DB), bar(score)
    return f"|{loud}| {level:4.0f} dB  |{sure}| {score:.2f} / {thresholds[keyword]:.2f} {keyword}"


def bar(share: float) -> str:
    """Return a bar filled to ``share`` within [0, 1]."""
    filled = round(METER_CELLS * min(max(share, 0.0), 1.0))
    return "#" * filled + " " * (METER_CELLS - filled)
