"""Messages of the library, with its names as the command line writes them.

The library names an argument as Python does, in backticks: ``give `overwrite=True` ``. The command line
turns each such name that its parser knows into the option: ``give --overwrite``.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Iterable

ARGUMENT = re.compile(r"(?<!key )(?<!did you mean )`([a-z]\w*)(?:=([^`\s]+))?`")
"""`overwrite`, `overwrite=True`, `file="-"`; but not a key of a file, as in "unknown key `dept`"."""
SETTING = re.compile(r"`((?:[a-z]\w*\.)+[a-z]\w*=[^`]+)`")
"""`train.epochs=12`."""
CALL = re.compile(r"`([a-z_]+)\(([a-z]\w*)=(\w+)\)`")
"""`enroll(noise=FOLDER)`."""
COMMANDS = {"evaluate": "eval", "prepare": "prep"}
"""Function -> command, where their names differ."""


def with_flags(text: str, actions: Iterable[argparse.Action]) -> str:
    """Return a message of the library as a person at a shell reads it.

    Args:
        text: with names of Python in backticks.
        actions: arguments that the command knows, whose ``dest`` is the name in Python.
    """
    known = {action.dest: action for action in actions}

    def argument(found: re.Match[str]) -> str:
        action = known.get(found[1])
        if action is None:
            return found[0]
        if not action.option_strings:
            return str(action.metavar or action.dest.upper())
        name, value = action.option_strings[-1], (found[2] or "").strip("\"'")
        return name if value in ("", "True") else f"`{name} {value}`"

    def call(found: re.Match[str]) -> str:
        return f"`kws {COMMANDS.get(found[1], found[1])} --{found[2].replace('_', '-')} {found[3]}`"

    text = CALL.sub(call, ARGUMENT.sub(argument, text))
    return SETTING.sub(r"`--set \1`", text) if "overrides" in known else text


class FlagFormatter(logging.Formatter):
    """Writes log lines of the library with the options of one command."""

    def __init__(self, form: str, actions: Iterable[argparse.Action]) -> None:
        super().__init__(form)
        self._actions = list(actions)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return with_flags(super().formatMessage(record), self._actions)
