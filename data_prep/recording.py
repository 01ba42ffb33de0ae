"""One recording and its row in a manifest."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from data_prep.config import SPLITS
from kws.errors import ManifestError
from kws.text import typed


@dataclass(frozen=True)
class Recording:
    """One recording, or one stretch of a longer file."""

    path: Path
    """Absolute path of the audio file."""
    text: str | None = None
    """Transcript."""
    label: str | None = None
    """Keyword, sound class or intent."""
    speaker: str | None = None
    """Speaker id, unique over all corpora; None when not known."""
    split: str | None = None
    """``train``, ``dev``, ``test``, or None before the split."""
    phones: str | None = None
    """ARPAbet, space separated, with or without stress digits."""
    duration_s: float | None = None
    """Length in seconds from ``offset_s``; None reads to the end of the file."""
    sample_rate: int | None = None
    """Sample rate of the file in Hz."""
    language: str | None = None
    """Language code such as ``en``."""
    source: str | None = None
    """Corpus or generator that the recording comes from."""
    offset_s: float = 0.0
    """Where the recording starts in the file, in seconds."""
    extra: dict[str, Any] = field(default_factory=dict, hash=False)
    """Columns that this class does not name, kept as they were."""

    @property
    def name(self) -> str:
        """Folder, file name and offset: names the item the same way on every machine."""
        offset = f"@{self.offset_s:g}" if self.offset_s else ""
        return f"{self.path.parent.name}/{self.path.name}{offset}"


TEXT_FIELDS = ("text", "label", "speaker", "split", "phones", "language", "source")
KNOWN_FIELDS = frozenset(entry.name for entry in fields(Recording)) - {"extra"}


def to_row(recording: Recording, folder: Path) -> dict[str, Any]:
    """Return a recording as the object of one manifest line; empty fields are left out."""
    target = recording.path
    row: dict[str, Any] = {
        "path": target.relative_to(folder).as_posix() if target.is_relative_to(folder) else str(target)
    }
    for entry in fields(Recording)[1:-1]:
        value = getattr(recording, entry.name)
        if value is not None and not (entry.name == "offset_s" and value == 0.0):
            row[entry.name] = value
    return {**row, **{key: value for key, value in recording.extra.items() if key not in row}}


def from_row(row: dict[str, Any], folder: Path, where: str) -> Recording:
    """Build a recording from one manifest line.

    Args:
        row: column names and values; values from CSV are text.
        folder: the manifest's folder; a path that is missing there is looked for in its parent folder.
        where: file and line, for messages.
    Raises:
        ManifestError: no path, a number that is none, or an unknown split.
    """
    value = row.get("path")
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ManifestError(
            f"{where}: no `path`; columns given: {', '.join(map(str, row)) or 'none'}; add the audio's path"
        )
    values: dict[str, Any] = {"path": resolve(value, folder)}
    for name in TEXT_FIELDS:
        given = row.get(name)
        if isinstance(given, (dict, list, bool)):
            raise ManifestError(f"{where}: `{name}` is {given!r}, expected text; mend the line")
        values[name] = None if given is None or given == "" else typed(name, str(given))
    if values["split"] not in (None, *SPLITS):
        raise ManifestError(
            f"{where}: split is {values['split']!r}, allowed: {', '.join(SPLITS)} or empty; rename it"
        )
    values["duration_s"] = _number(row.get("duration_s"), "duration_s", where)
    values["offset_s"] = _number(row.get("offset_s"), "offset_s", where) or 0.0
    rate = _number(row.get("sample_rate"), "sample_rate", where)
    values["sample_rate"] = None if rate is None else round(rate)
    values["extra"] = {
        key: entry for key, entry in row.items() if key not in KNOWN_FIELDS and entry not in (None, "")
    }
    return Recording(**values)


def resolve(path: str, folder: Path) -> Path:
    """Return ``path`` as an absolute path: the first of these that exists, else the first.

    As it is written, relative to ``folder``, then to its parent; with ``~/`` as the home folder; and all of
    this without spaces at either end, which a person's manifest may have and a file's name too.
    """
    candidates = [
        os.path.abspath(place / written)
        for given in dict.fromkeys((path, path.strip()))
        for written in dict.fromkeys((given, expanded(given)))
        for place in (folder, folder.parent)
    ]
    return Path(next((name for name in candidates if os.path.exists(name)), candidates[0]))


def expanded(path: str) -> str:
    """Return a path with ``~/`` as the home folder; ``~x.wav`` is a file's name."""
    return os.path.expanduser(path) if path.startswith(("~/", "~\\")) or path == "~" else path


def _number(value: Any, name: str, where: str) -> float | None:
    """Return a finite number that is not negative, or None for an empty cell."""
    if value is None or value == "":
        return None
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise ManifestError(
            f"{where}: `{name}` is {value!r}, expected a number that is not negative; mend the line"
        )
    return number
