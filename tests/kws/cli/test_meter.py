"""The meter fits the terminal, whatever its width and the script of the keyword."""

from __future__ import annotations

import pytest

from kws.cli.meter import display_width, fitted, meter_line
from kws.listening import ListenEvent


def event(keyword: str) -> ListenEvent:
    return ListenEvent(1.0, -30.0, {keyword: 0.25}, (), (), 0)


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20, 5])
@pytest.mark.parametrize("keyword", ["tone", "hey computer", "小爱同学打开灯", "cafe\u0301 " * 20])
def test_the_line_is_narrower_than_the_terminal(columns: int, keyword: str):
    line = meter_line(event(keyword), {keyword: 0.5}, columns)
    assert display_width(line) < columns and "-30"[: columns - 2] in line


def test_bars_are_as_long_as_there_is_room():
    assert meter_line(event("tone"), {"tone": 0.5}, 60) == (
        f"|{'#' * 7}{' ' * 7}|  -30 dB  |{'#' * 4}{' ' * 10}| 0.25 / 0.50 tone"
    )
    assert meter_line(event("tone"), {"tone": 0.5}, 40) == "|##  |  -30 dB  |#   | 0.25 / 0.50 tone"
    assert meter_line(event("tone"), {"tone": 0.5}, 38) == " -30 dB  0.25 / 0.50 tone"


def test_wide_characters_take_two_columns():
    assert display_width("小爱") == 4 and display_width("cafe\u0301") == 4
    assert fitted("小爱同学", 5) == "小爱" and fitted("abc", 5) == "abc"
