"""Reads the manifest, the one contract between ``data_prep`` and ``kws``: JSON Lines, one recording a line.

``kws prep`` writes it; training, pretraining and evaluation read it here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws import audio
from kws.errors import AudioError, ManifestError
from kws.text import typed

_KNOWN = ("text", "label", "speaker", "split", "phones")

DURATION_TOLERANCE_S = 0.01
"""Read beyond the given length of a file from its start: manifests round lengths."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of a manifest.

    Attributes:
        path: the audio file.
        duration_s: its length in seconds.
        text, label, speaker, split, phones: as in the manifest; None where unknown.
        offset_s: where in the file it starts.
        extra: every other field of the line.
        where: manifest and line, for messages.
    """

    path: Path
    duration_s: float
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    split: str | None = None
    phones: str | None = None
    offset_s: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)
    where: str = field(default="", compare=False)

    @property
    def item_id(self) -> str:
        """A name that stays the same when the corpus moves: parent folder, file name and offset."""
        return f"{self.path.parent.name}/{self.path.name}@{self.offset_s:g}"

    def load(self) -> Any:
        """Return (samples,) float32 at ``SAMPLE_RATE``; see :func:`kws.audio.load`."""
        return audio.load(self.path, offset_s=self.offset_s, length_s=self._length_s)

    def pieces(self) -> Iterator[Any]:
        """Yield what :meth:`load` returns in pieces of a minute, so that a long file takes little memory."""
        empty = True
        for piece in audio.blocks(self.path, offset_s=self.offset_s, length_s=self._length_s):
            empty = False
            yield piece
        if empty:
            raise AudioError(
                f"{self.path}: holds no samples; record it again or remove it from the manifest", kind="empty"
            )

    @property
    def _length_s(self) -> float:
        """How much is read: a manifest rounds the length of a whole file, which a stretch must not show."""
        return self.duration_s if self.offset_s else self.duration_s + DURATION_TOLERANCE_S


def read_manifest(
    path: str | Path,
    splits: Collection[str] | None = None,
    unreadable: list[tuple[str, AudioError]] | None = None,
) -> list[Utterance]:
    """Read a JSON Lines manifest, in the order of its lines.

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
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # texts may hold other line ends
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot be read ({error.strerror}); check the path, or run `kws prep` first"
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: is no JSON Lines manifest in UTF-8; run `kws prep` on it first"
        ) from error
    utterances = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
            stored = Path(row["path"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ManifestError(
                f"{where}: expected a JSON object with a `path` ({error}); mend the line"
            ) from error
        if not row["path"].strip():
            raise ManifestError(f"{where}: `path` is empty; give the audio file, or remove the line")
        if splits is not None and row.get("split") not in splits:
            continue
        location = path.parent / stored
        if not location.exists() and (path.parent.parent / stored).exists():
            location = path.parent.parent / stored
        known = {name: _text(row, name, where) for name in _KNOWN}
        extra = {
            key: value for key, value in row.items() if key not in (*_KNOWN, "path", "duration_s", "offset_s")
        }
        offset_s = _seconds(row, "offset_s", where)
        duration_s = _seconds(row, "duration_s", where)
        try:
            duration_s = duration_s or audio.duration_s(location) - offset_s
        except AudioError as error:
            if unreadable is None:
                raise
            unreadable.append((where, error))
            continue
        if duration_s <= 0:
            raise ManifestError(
                f"{where}: `offset_s` {offset_s:g} is behind the end of {location}; mend the line"
            )
        utterances.append(
            Utterance(location, duration_s, **known, offset_s=offset_s, extra=extra, where=where)
        )
    if not utterances and not unreadable:
        wanted = f" with split {' or '.join(sorted(splits))}" if splits else ""
        raise ManifestError(f"{path}: holds no recordings{wanted}; check the file, or run `kws prep` again")
    return utterances


def _text(row: dict[str, Any], name: str, where: str) -> str | None:
    """Return a field that is text; a number counts as its digits."""
    value = row.get(name)
    if value is None or isinstance(value, str):
        return value and typed(name, value)
    if isinstance(value, (bool, dict, list)):
        raise ManifestError(f"{where}: `{name}` is {value!r}, expected text; mend the line")
    return str(value)


def _seconds(row: dict[str, Any], name: str, where: str) -> float:
    """Return a length or a place in seconds; 0 where there is none."""
    value = row.get(name) or 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ManifestError(f"{where}: `{name}` is {value!r}, expected seconds, 0 or more; mend the line")
    return float(value)
