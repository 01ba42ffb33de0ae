"""What `kws record` shows while it records, and the keys by which a person decides on a take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial

from kws.cli.meter import CELLS, FLOOR_DB, bar, fitted, terminal_columns
from kws.workflows.record import Decision, Guide, Part, Take

HEADINGS = {
    "take": "take {number} of {wanted}: say {text!r}",
    "negatives": "other speech, {number} of {wanted}; read aloud:\n    {text}",
    "noise": "noise of the room, {number} of {wanted}: do not speak",
}
"""What is shown before a recording."""
SIGNALS = {"take": "speak now", "negatives": "read now", "noise": "listening"}


class LineGuide(Guide):
    """Writes a line for each take to standard error, and decides by the check.

    Args:
        in_flags: turns names of the library into options.
    """

    def __init__(self, in_flags: Callable[[str], str] = str) -> None:
        super().__init__()
        self.told: set[str] = set()
        self._in_flags = in_flags
        self._part: Part = "take"
        self._live = sys.stderr.isatty()

    def begins(self, part: Part, text: str, number: int, wanted: int) -> None:
        """Say what is to be done."""
        self._part = part
        self._line(HEADINGS[part].format(text=text, number=number, wanted=wanted))

    def counts_down(self, left_s: int) -> None:
        """Show the seconds that are left."""
        self._over(f"{left_s} ..." if left_s else SIGNALS[self._part])

    def hears(self, level: float, share: float) -> None:
        """Draw the level and how much of the time is over."""
        level = max(level, FLOOR_DB)
        loud = bar(1 - level / FLOOR_DB, CELLS)
        self._over(f"|{loud}| {level:4.0f} dB  {SIGNALS[self._part]} |{bar(share, CELLS // 2)}|")

    def decides(self, take: Take) -> Decision:
        """Say what is wrong, and decide by the check."""
        self._tell(take)
        return super().decides(take)

    def says(self, note: str) -> None:
        """Write a note."""
        self.told.add(note)
        self._line(f"note: {self._in_flags(note)}")

    def clear(self) -> None:
        """Remove what changes on the line."""
        self._over("")

    def _tell(self, take: Take) -> None:
        level = f"{take.check.level_db:.0f} dB"
        self._line(f"  {take.check.fault}: {take.check.note}" if take.check.fault else f"  good ({level})")

    def _line(self, text: str) -> None:
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def _over(self, text: str) -> None:
        """Write over the last line, on a terminal."""
        if self._live:
            print(f"\r\033[K{fitted(text, terminal_columns() - 1)}", end="", file=sys.stderr, flush=True)


class KeyGuide(LineGuide):
    """Asks the person for a key after each take."""

    GOOD = "Enter: next, r: redo, p: play, d: delete, q: stop "
    FAULTY = "Enter: redo, k: keep anyway, p: play, d: delete the last kept, q: stop "
    DECISIONS: dict[str, Decision] = {"r": "redo", "k": "keep", "d": "delete", "q": "stop"}

    def decides(self, take: Take) -> Decision:
        """Say what is wrong, and return what the person wants."""
        self._tell(take)
        while True:
            question = self.FAULTY if take.check.fault else self.GOOD
            key = read_key(partial(self._over, question)).lower()
            if key == "p":
                self._play(take)
            elif key in ("\n", "\r", " "):
                return "redo" if take.check.fault else "keep"
            elif key in ("", "\x04"):  # standard input is closed, or Ctrl+D
                return "stop"
            elif key in self.DECISIONS:
                return self.DECISIONS[key]

    def _play(self, take: Take) -> None:
        from kws.errors import KwsError
        from kws.microphone import play

        self._over("playing ...")
        try:
            play(take.waveform)
        except KwsError as error:
            self._line(f"  {error}")


def read_key(ask: Callable[[], None]) -> str:
    """Ask, and return what is pressed then; "" at the end of input.

    Keys that were pressed before are forgotten. A key such as an arrow is several letters, which are returned
    as one text. Ctrl+C works as ever.

    Args:
        ask: shows the question.
    """
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)  # which also empties the queue of keys
        ask()
        return os.read(number, 32).decode(errors="replace")
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
