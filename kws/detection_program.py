"""What other programs are told of a detection: `kws listen --run COMMAND` and `kws listen --json`.

A program that is started is never waited for: audio goes on while it runs. What was heard stands in its
environment.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from datetime import datetime

from kws.counts import counted
from kws.decisions import Detection
from kws.errors import ConfigError

MAX_RUNNING = 8
"""Programs that may run at a time; a detection beyond them starts none."""

STANDARD_ERROR = 2
"""What a program prints goes there: standard output holds detections alone."""


class DetectionProgram:
    """Starts a program on each detection.

    Args:
        command: program and arguments as in a shell, but without one: nothing is expanded.
        max_running: most of them at a time.
    Raises:
        ConfigError: it is empty, a quote is open, or there is no such program.
    """

    def __init__(self, command: str, max_running: int = MAX_RUNNING) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ConfigError(f"`run` {command!r}: {error}; quote it as for a shell") from error
        if not self._words:
            raise ConfigError("`run`: is empty; give a program and its arguments, such as `aplay ding.wav`")
        if shutil.which(self._words[0]) is None:
            raise ConfigError(
                f"`run`: there is no program {self._words[0]!r}; give its path, and `sh -c '…'` for several"
            )
        self._max_running = max_running
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, detection: Detection) -> str | None:
        """Start the program; never wait for it.

        Its environment holds ``KWS_KEYWORD``, ``KWS_SCORE``, ``KWS_TIME_S`` (seconds of audio since the
        start) and ``KWS_TIME`` (the time of day). It has no standard input, and a Ctrl-C at the terminal is
        not meant for it.

        Returns:
            What the person should know where it could not be started, else None.
        """
        self._running = [program for program in self._running if program.poll() is None]
        if len(self._running) >= self._max_running:
            running = counted(len(self._running), "program")
            return f"{running} of earlier detections still run; none is started for {detection.keyword}"
        heard = {
            "KWS_KEYWORD": detection.keyword,
            "KWS_SCORE": f"{detection.score:.6f}",
            "KWS_TIME_S": f"{detection.time_s:.3f}",
            "KWS_TIME": time_of_day(),
        }
        try:
            program = subprocess.Popen(
                self._words,
                env={**os.environ, **heard},
                stdin=subprocess.DEVNULL,
                stdout=STANDARD_ERROR,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a keyword that no environment holds
            return f"{self._words[0]} could not be started for {detection.keyword}: {error}"
        self._running.append(program)
        return None


def json_line(detection: Detection) -> str:
    """Return a detection as JSON on one line, with the time of day at which it is told."""
    heard = {
        "keyword": detection.keyword,
        "score": round(detection.score, 6),
        "time_s": round(detection.time_s, 3),
        "time": time_of_day(),
    }
    return json.dumps(heard)


def time_of_day() -> str:
    """Return the time now with its zone, as ISO 8601 writes it, to the millisecond."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
