"""Log lines that a program can read: an event with fields, never audio, and never more than a few of a kind.

Every log line of the service goes through :func:`log`. :class:`JsonFormatter` and :class:`TextFormatter`
write them; the command line chooses one.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

LOGGER = logging.getLogger("kws.serve")

LONGEST_FIELD = 300
"""Characters of a field; names that clients send may have any length."""

MOST_OF_A_KIND, PERIOD_S = 50, 10.0
"""Lines about clients of one event that are written in a period; the number of others is told after it."""


def log(event: str, level: int = logging.INFO, /, **fields: Any) -> None:
    """Write one event.

    Args:
        event: what happened, a few plain words.
        level: of the line.
        **fields: what of; numbers, texts, lists and mappings of them.
    """
    LOGGER.log(level, event, extra={"fields": fields})


def _shortened(value: Any) -> Any:
    """Return a value that JSON can hold, of bounded length."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {str(key)[:LONGEST_FIELD]: _shortened(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(item) for item in value]
    text = str(value)
    return text if len(text) <= LONGEST_FIELD else f"{text[:LONGEST_FIELD]}..."


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of an event that have a value."""
    return {name: value for name, value in getattr(record, "fields", {}).items() if value is not None}


class JsonFormatter(logging.Formatter):
    """Writes a line of JSON: time in UTC, level, event and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: _shortened(value) for name, value in _fields(record).items()},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Writes a line for people: local time, level, event and ``name=value`` for each field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = [
            f"{name}={json.dumps(_shortened(value), ensure_ascii=False)}"
            for name, value in _fields(record).items()
        ]
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = "  ".join([clock, f"{record.levelname:7s}", record.getMessage(), *told])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class FewOfAKind(logging.Filter):
    """Lets so many lines of an event about a client through that no client can fill a disk with them."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written."""
        fields = getattr(record, "fields", None)
        if fields is None or "client" not in fields:
            return True
        since, count = self._counts.get(record.msg, (record.created, 0))
        if record.created - since >= PERIOD_S:
            if count > MOST_OF_A_KIND:
                fields["left_out_before"] = count - MOST_OF_A_KIND
            since, count = record.created, 0
        self._counts[record.msg] = (since, count + 1)
        return count < MOST_OF_A_KIND


LOGGER.addFilter(FewOfAKind())
