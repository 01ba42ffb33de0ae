"""The manifest, the one contract between ``data_prep`` and ``kws``: JSON Lines, one recording a line.

``data_prep`` reads whatever a person has and writes manifests; training, pretraining and evaluation read them
here. Paths are absolute in memory, relative to the manifest on disk.
"""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kws import audio
from kws.errors import AudioError, ManifestError
from kws.json_text import parse_json
from kws.text import typed

SPLITS = ("train", "dev", "test")
"""What a recording may be used for."""


@dataclass(frozen=True, slots=True)
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
    where: str = field(default="", compare=False, repr=False)
    """Manifest and line, for messages; not a column."""

    @property
    def name(self) -> str:
        """Folder, file name and offset: names the item the same way on every machine."""
        offset = f"@{self.offset_s:g}" if self.offset_s else ""
        return f"{self.path.parent.name}/{self.path.name}{offset}"

    @property
    def item_id(self) -> str:
        """Like ``name``, with an offset of 0 too; the draws of augmentation are seeded by it."""
        return f"{self.path.parent.name}/{self.path.name}@{self.offset_s:g}"

    @property
    def length_s(self) -> float:
        """Length in seconds: ``duration_s``, or what the file says where that is not known.

        Raises:
            AudioError: the file cannot be read.
        """
        if self.duration_s is not None:
            return self.duration_s
        return audio.duration_s(self.path) - self.offset_s

    def column(self, name: str) -> Any:
        """Return what a column of the manifest holds, one of ``extra`` too; None where there is none."""
        return getattr(self, name) if name in COLUMNS else self.extra.get(name)

    def with_length(self) -> Recording:
        """Return the recording with its length, which the file says where the manifest does not.

        Raises:
            AudioError: the file cannot be read.
            ManifestError: the recording starts behind the end of the file.
        """
        if self.duration_s:
            return self
        length_s = audio.duration_s(self.path) - self.offset_s
        if length_s <= 0 and self.offset_s:
            raise ManifestError(
                f"{self.where or self.path}: `offset_s` {self.offset_s:g} is behind the end of {self.path}; "
                "mend the line"
            )
        return replace(self, duration_s=length_s)

    def load(self) -> np.ndarray:
        """Return (samples,) float32 at ``SAMPLE_RATE``; see :meth:`pieces`."""
        pieces = list(self.pieces())
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def pieces(self, block_s: float = 60.0) -> Iterator[np.ndarray]:
        """Yield what :meth:`load` returns in pieces, so that a long file takes little memory.

        Args:
            block_s: length of a piece in seconds.
        Raises:
            AudioError: the file cannot be read, or the recording holds no samples.
        """
        empty = True
        for piece in audio.blocks(self.path, block_s, offset_s=self.offset_s, length_s=self.duration_s):
            empty = False
            yield piece
        if empty and self.offset_s:
            raise AudioError(
                f"{self.path}: the recording starts at {self.offset_s:g} s, behind the end of the file; mend "
                "`offset_s` in the manifest",
                kind="offset",
            )
        if empty:
            raise AudioError(
                f"{self.path}: holds no samples; record it again or remove it from the manifest", kind="empty"
            )


COLUMNS = tuple(entry.name for entry in fields(Recording) if entry.name not in ("extra", "where"))
"""Columns of a manifest that :class:`Recording` names."""
TEXT_COLUMNS = ("text", "label", "speaker", "split", "phones", "language", "source")


def read_manifest(
    path: str | Path,
    splits: Collection[str] | None = None,
    unreadable: list[tuple[str, AudioError]] | None = None,
) -> list[Recording]:
    """Read a JSON Lines manifest, in the order of its lines; each recording has its length.

    Args:
        path: the manifest; relative audio paths start at its folder, or at the folder above it.
        splits: keep only these (``train``, ``dev``, ``test``); None keeps all.
        unreadable: gets the line and the error where a length is neither given nor can be read; None raises.
    Raises:
        AudioError: a length is neither given nor can be read.
        ManifestError: the file is missing, a line is not JSON, has no ``path`` or a value of the wrong kind,
            or nothing is left.
    """
    path = Path(path)
    recordings = []
    for where, row in read_rows(path):
        recording = from_row(row, path.parent, where)
        if splits is not None and recording.split not in splits:
            continue
        try:
            recordings.append(recording.with_length())
        except AudioError as error:
            if unreadable is None:
                raise
            unreadable.append((where, error))
    if not recordings and not unreadable:
        wanted = f" with split {' or '.join(sorted(splits))}" if splits else ""
        raise ManifestError(f"{path}: holds no recordings{wanted}; check the file, or run `kws prep` again")
    return recordings


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, gzipped where its name ends in ``.gz``.

    Raises:
        ManifestError: it cannot be read, or is no such text.
    """
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise ManifestError(
            f"{path}: cannot be read as UTF-8 text ({error}); save it again as UTF-8"
        ) from error
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and object of every line of JSON Lines that is not blank.

    Raises:
        ManifestError: the file cannot be read, or a line holds no object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):  # texts may hold other line ends
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = parse_json(line)
        except ValueError as error:
            raise ManifestError(f"{where}: not valid JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise ManifestError(
                f'{where}: expected a JSON object, got {type(row).__name__}; write {{"path": ...}}'
            )
        yield where, row


def to_row(recording: Recording, folder: Path) -> dict[str, Any]:
    """Return a recording as the object of one manifest line; empty fields are left out."""
    target = recording.path
    row: dict[str, Any] = {
        "path": target.relative_to(folder).as_posix() if target.is_relative_to(folder) else str(target)
    }
    for name in COLUMNS[1:]:
        value = getattr(recording, name)
        if value is not None and not (name == "offset_s" and value == 0.0):
            row[name] = value
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
    values: dict[str, Any] = {"path": resolve(value, folder), "where": where}
    for name in TEXT_COLUMNS:
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
        key: entry for key, entry in row.items() if key not in COLUMNS and entry not in (None, "")
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
