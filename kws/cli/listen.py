"""`kws listen`: prints what :func:`kws.listening.listen` hears, with a level meter on a terminal."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli.meter import meter_line, terminal_columns
from kws.cli.options import add_option
from kws.counts import counted

if TYPE_CHECKING:
    from kws.channels import Channel
    from kws.detection_program import DetectionProgram
    from kws.detector import Detector
    from kws.listening import ListenEvent
    from kws.pipe import PipeFormat

NAME = "listen"
HELP = "hear the phrase through a microphone, or in a recording"

OVERFLOWS_APART_S = 10.0
"""Losses of audio that follow each other faster are one run, told when it begins and when it is over."""

SILENCE_HINT_S = 3.0
"""Digital silence of this length from a microphone means that it is muted or not permitted; no room
is so quiet."""

MICROPHONE_SILENCE = (
    "the microphone gives digital silence: is it muted, or not permitted to this terminal? "
    "`kws listen --list-devices` shows the others"
)
PIPED_SILENCE = (
    "what is piped in is digital silence: does the program before the pipe record from the right device?"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "model",
        nargs="?",
        help="exported .onnx file, the folder of a run that holds it, or the .json of a microWakeWord model",
    )
    add_option(parser, "--file", "(`arecord -f S16_LE -r 16000 | kws listen MODEL --file -`)")
    parser.add_argument(
        "--raw-rate",
        dest="raw",
        type=int,
        metavar="HZ",
        help="the pipe holds 16-bit samples at this rate, without a header",
    )
    parser.add_argument(
        "--raw-channels", type=int, metavar="COUNT", help="channels of the samples without a header; else 1"
    )
    add_option(parser, "--channel")
    add_option(parser, "--device")
    parser.add_argument(
        "--reconnect",
        dest="reconnect_s",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long a microphone that is unplugged is waited for; 0 ends at once",
    )
    parser.add_argument("--list-devices", action="store_true", help="list the microphones and end")
    add_option(parser, "--threshold", "without it, the thresholds in the file")
    add_option(
        parser,
        "--refractory",
        "KEYWORD=SECONDS sets it for one; may be repeated; without it, the one in the file",
        action="append",
    )
    add_option(parser, "--patience")
    add_option(parser, "--json", "a line for each detection: keyword, score, time_s, time of day")
    parser.add_argument(
        "--run",
        metavar="COMMAND",
        help="start this program on each detection, without a shell; KWS_KEYWORD, KWS_SCORE, KWS_TIME_S and "
        "KWS_TIME in its environment say what was heard",
    )
    parser.add_argument(
        "--save",
        dest="save_folder",
        metavar="FOLDER",
        help="save the 2.5 s around each detection as WAV in this folder; without it, nothing is saved",
    )
    parser.add_argument(
        "--duration",
        dest="duration_s",
        type=float,
        metavar="SECONDS",
        help="stop after so much audio; without it, at Ctrl-C",
    )


def run(args: argparse.Namespace) -> int:
    """Listen and print; returns 0 at the end of the recording, of the time, or at Ctrl-C."""
    from kws.detection_program import DetectionProgram
    from kws.errors import ConfigError
    from kws.listening import listen
    from kws.micro_detector import open_detector
    from kws.pipe import is_pipe

    if args.list_devices:
        return print_devices()
    if args.model is None:
        raise ConfigError("which model? Give the exported file: `kws listen MODEL.onnx`")
    raw = raw_format(args.raw, args.raw_channels)
    channel = parse_channel(args.channel)
    program = None if args.run is None else DetectionProgram(args.run)
    detector = open_detector(
        args.model,
        parse_thresholds(args.threshold),
        parse_by_keyword("refractory", args.refractory_s),
        args.patience,
    )
    piped = is_pipe(args.file)
    printer = Printer(
        detector,
        live=args.file is None or piped,
        piped=piped,
        in_flags=args.parser.in_flags,
        as_json=args.json,
        program=program,
    )
    printer.start()
    summary = listen(
        detector,
        device=args.device,
        save_folder=None if args.save_folder is None else Path(args.save_folder),
        file=args.file,
        duration_s=args.duration_s,
        channel=channel,
        raw=raw,
        reconnect_s=args.reconnect_s,
        on_event=printer.show,
    )
    printer.clear()
    lost = f", audio lost {counted(summary.num_overflows, 'time')}" if summary.num_overflows else ""
    heard = counted(summary.num_detections, "detection")
    print(f"{heard} in {summary.duration_s:.1f} s{lost}", file=sys.stderr)
    return 0


def print_devices() -> int:
    """Print the microphones; returns 1 where there is none."""
    from kws.listening import list_devices

    devices = list_devices()
    if not devices:
        print(
            "no microphone was found; plug one in and allow this terminal to use it, or pipe audio in: "
            "`arecord -f S16_LE -r 16000 | kws listen MODEL.onnx --file -`",
            file=sys.stderr,
        )
        return 1
    for device in devices:
        mark = "*" if device.is_default else " "
        form = f"({counted(device.num_channels, 'channel')}, {device.sample_rate} Hz)"
        print(f"{mark}{device.index:3d}  {device.name}  {form}")
    return 0


def parse_channel(text: str | None) -> Channel:
    """Turn ``mix`` or the number of a channel into what the library takes.

    Raises:
        ConfigError: it is neither.
    """
    from kws.errors import ConfigError

    if text is None:
        return None
    if text == "mix":
        return "mix"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ConfigError(f"--channel {text}: expected a number from 1, or mix")


def raw_format(rate_hz: int | None, num_channels: int | None) -> PipeFormat | None:
    """Return how the samples of a pipe without a header are stored, or None where it has one.

    Raises:
        ConfigError: a number is out of range, or there are channels without a rate.
    """
    from kws.errors import ConfigError
    from kws.pipe import PipeFormat

    if rate_hz is None:
        if num_channels is not None:
            raise ConfigError("--raw-channels: give --raw-rate too; WAV tells its channels itself")
        return None
    num_channels = 1 if num_channels is None else num_channels
    for name, value in (("rate", rate_hz), ("channels", num_channels)):
        if value < 1:
            raise ConfigError(f"--raw-{name} {value}: expected 1 or more")
    return PipeFormat(rate_hz, num_channels)


def parse_thresholds(texts: list[str] | None) -> float | dict[str, float] | None:
    """Return what ``--threshold`` says; see :func:`parse_by_keyword`."""
    return parse_by_keyword("threshold", texts)


def parse_by_keyword(option: str, texts: list[str] | None) -> float | dict[str, float] | None:
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
            raise ConfigError(f"--{option} {text}: expected a number, such as 0.6 or keyword=0.6") from error
    if "" not in by_keyword:
        return by_keyword
    if len(by_keyword) > 1:
        raise ConfigError(f"--{option}: give one value for all keywords, or keyword=value for each, not both")
    return by_keyword[""]


class Printer:
    """Prints detections to standard output and, on a terminal, a meter line to standard error.

    Args:
        detector: that listens.
        live: what is heard goes on as it is said, from a microphone or a pipe.
        piped: from a pipe.
        in_flags: turns names of arguments within a text into options.
        as_json: prints a line of JSON for each detection.
        program: started on each detection.
    """

    def __init__(
        self,
        detector: Detector,
        live: bool,
        piped: bool = False,
        in_flags: Callable[[str], str] = str,
        as_json: bool = False,
        program: DetectionProgram | None = None,
    ) -> None:
        self._detector = detector
        self._live = live
        self._piped = piped
        self._in_flags = in_flags
        self._as_json, self._program = as_json, program
        self._meter = live and sys.stderr.isatty()
        self._silence_since_s: float | None = None
        self._hinted = False
        self._overflows = Overflows()

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
            if self._as_json:
                from kws.detection_program import json_line

                print(json_line(detection), flush=True)
            else:
                print(f"{clock(detection.time_s)}  {detection.keyword}  {detection.score:.3f}", flush=True)
            failed = None if self._program is None else self._program.start(detection)
            if failed is not None:
                print(failed, file=sys.stderr, flush=True)
        for path in event.saved:
            print(f"saved {path}", file=sys.stderr, flush=True)
        for line in (*event.notes, *self._overflows.told(event.num_overflows, event.time_s)):
            self.clear()
            print(self._in_flags(line), file=sys.stderr, flush=True)
        self._hint_at_silence(event)
        if self._meter and event.scores:
            line = meter_line(event, self._detector.thresholds, terminal_columns())
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the meter line."""
        if self._meter:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _hint_at_silence(self, event: ListenEvent) -> None:
        """Tell once that a microphone or a pipe gives digital silence."""
        if not self._live or self._hinted:
            return
        if event.level_db > -math.inf:
            self._silence_since_s = None
        elif self._silence_since_s is None:
            self._silence_since_s = event.time_s
        elif event.time_s - self._silence_since_s >= SILENCE_HINT_S:
            self._hinted = True
            self.clear()
            print(PIPED_SILENCE if self._piped else MICROPHONE_SILENCE, file=sys.stderr, flush=True)


class Overflows:
    """Lines about lost audio: one when a run of losses begins, and one when it is over."""

    def __init__(self) -> None:
        self._count = 0
        self._before = 0
        self._begin_s = self._last_s = 0.0

    def told(self, count: int, time_s: float) -> list[str]:
        """Return the lines for so many losses up to now."""
        lines = []
        in_run = self._count > self._before
        if in_run and time_s - self._last_s >= OVERFLOWS_APART_S:
            lost = counted(self._count - self._before, "time")
            lines.append(f"audio lost {lost} from {clock(self._begin_s)} to {clock(self._last_s)}")
            self._before, in_run = self._count, False
        if count > self._count:
            if not in_run:
                lines.append("audio is lost; is the processor busy?")
                self._begin_s = time_s
            self._count, self._last_s = count, time_s
        return lines


def clock(time_s: float) -> str:
    """Return seconds as ``h:mm:ss.ss``."""
    hundredths = round(time_s * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{hundredths // 100:02d}.{hundredths % 100:02d}"
