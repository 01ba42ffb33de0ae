"""The line that `kws listen` draws on a terminal: level and score as bars, never wider than the terminal."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kws.listening import ListenEvent

FLOOR_DB = -60.0
"""Level at which the meter is empty: below the noise of a quiet room on most microphones."""

CELLS, FEWEST_CELLS = 20, 4
"""Of one bar, where there is room; a shorter one says nothing and is left out."""


def terminal_columns() -> int:
    """Return the width of the terminal behind standard error; 80 where it does not say."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return int(os.environ.get("COLUMNS") or 80)


def display_width(text: str) -> int:
    """Return how many columns a text takes: wide characters two, combining marks none."""
    return sum(map(_columns, text))


def fitted(text: str, columns: int) -> str:
    """Return as much of a text as so many columns hold."""
    taken = 0
    for place, letter in enumerate(text):
        taken += _columns(letter)
        if taken > columns:
            return text[:place]
    return text


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def meter_line(event: ListenEvent, thresholds: dict[str, float], columns: int) -> str:
    """Return the level and the keyword nearest to its threshold as two bars on one line.

    Args:
        event: with scores.
        thresholds: of each keyword.
        columns: of the terminal; its last stays free, as some go to the next line when it is written.
    """
    keyword = max(event.scores, key=lambda name: event.scores[name] - thresholds[name])
    score, level = event.scores[keyword], max(event.level_db, FLOOR_DB)
    numbers, word = f"{score:.2f} / {thresholds[keyword]:.2f}", f" {keyword}"
    decibels = f"{level:4.0f} dB"
    room = columns - 1 - display_width(f"|| {decibels}  || {numbers}{word}")
    cells = min(CELLS, max(FEWEST_CELLS, room // 2))
    loud, sure = bar(1 - level / FLOOR_DB, cells), bar(score, cells)
    if room >= 2 * FEWEST_CELLS:
        line = f"|{loud}| {decibels}  |{sure}| {numbers}{word}"
    else:
        line = f"{decibels}  {numbers}{word}"
    return fitted(line, columns - 1)


def bar(share: float, cells: int) -> str:
    """Return a bar of so many cells filled to ``share`` within [0, 1]."""
    filled = round(cells * min(max(share, 0.0), 1.0))
    return "#" * filled + " " * (cells - filled)
