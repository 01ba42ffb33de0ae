"""Progress of what runs: the bars that workflows draw on a terminal, read as numbers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

_BAR = re.compile(r"(?P<what>[^\r\n|]*?):?\s*\d+%\|[^|]*\|\s*(?P<done>\d+)/(?P<total>\d+)\s")
KEPT = 400
"""Letters of an unfinished line that are kept."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one part of the work is.

    Attributes:
        what: the title of its bar.
        done: of ``total``.
        total: all there is to do.
    """

    what: str
    done: int
    total: int


class BarReader(io.TextIOBase):
    """Takes the place of ``sys.stderr``: passes text on, and tells what the bars in it say.

    Args:
        tell: called with each change of a bar.
        log: gets every line that is no bar.
    """

    def __init__(self, tell: Callable[[Progress], None], log: Callable[[str], None]) -> None:
        super().__init__()
        self._tell, self._log, self._line = tell, log, ""

    def isatty(self) -> bool:
        """Say yes: bars are drawn on terminals only."""
        return True

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Take text as a terminal does; a carriage return begins the line anew."""
        for piece in re.split(r"([\r\n])", text):
            if piece == "\r":
                self._line = ""
            elif piece == "\n":
                self._end_line()
            elif piece:
                self._line = (self._line + piece)[-KEPT:]
                self._read_bar()
        return len(text)

    def _read_bar(self) -> None:
        if _is_bar(self._line) and (bar := _BAR.search(self._line + " ")) is not None:
            self._tell(Progress(bar["what"].strip(), int(bar["done"]), int(bar["total"])))

    def _end_line(self) -> None:
        line, self._line = self._line.strip(), ""
        if line and not _is_bar(line):
            self._log(line)


def _is_bar(line: str) -> bool:
    """Tell whether a line is drawn by tqdm."""
    return "%|" in line
