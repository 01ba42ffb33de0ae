"""Reads the manifest, the one contract between ``data_prep`` and ``kws``: JSON Lines, one recording a line.

``kws prep`` writes it; training, pretraining and evaluation read it here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws import audio
from kws.errors import AudioError, ManifestError

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

    @property
    def item_id(self) -> str:
        """A name that stays the same when the corpus moves: parent folder, file name and offset."""
        return f"{self.path.parent.name}/{self.path.name}@{self.offset_s:g}"

    def load(self) -> Any:
        """Return (samples,) float32 at ``SAMPLE_RATE``; see :func:`kws.audio.load`."""
        # a manifest rounds the length of a whole file, which the next sample of a stretch must not show
        length_s = self.duration_s if self.offset_s else self.duration_s + DURATION_TOLERANCE_S
        return audio.load(self.path, offset_s=self.offset_s, length_s=length_s)

    def pieces(self) -> Iterator[Any]:
        """Yield what :meth:`load` returns in pieces of a minute, so that a long file takes little memory."""
        if self.offset_s:
            yield self.load()
            return
        wanted = audio.seconds_to_samples(self.duration_s + DURATION_TOLERANCE_S)
        done = 0
        for piece in audio.blocks(self.path):
            if done >= wanted:
                return
            yield piece[: wanted - done]
            done += len(piece)
        if not done:
            raise AudioError(f"{self.path}: holds no samples; record it again or remove it from the manifest")


def read_manifest(path: str | Path, splits: Collection[str] | None = None) -> list[Utterance]:
    """Read a JSON Lines manifest, in the order of its lines.

    Args:
        path: the manifest; relative audio paths start at its folder, or at the folder above it.
        splits: keep only these (``train``, ``dev``, ``test``); None keeps all.
    Raises:
        ManifestError: the file is missing, a line is not JSON or has no ``path``, or nothing is left.
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
        try:
            row = json.loads(line)
            stored = Path(row["path"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ManifestError(
                f"{path}:{number}: expected a JSON object with a `path` ({error}); mend the line"
            ) from error
        if splits is not None and row.get("split") not in splits:
            continue
        location = path.parent / stored
        if not location.exists() and (path.parent.parent / stored).exists():
            location = path.parent.parent / stored
        known = {name: row.get(name) for name in _KNOWN}
        extra = {
            key: value for key, value in row.items() if key not in (*_KNOWN, "path", "duration_s", "offset_s")
        }
        duration_s = row.get("duration_s") or audio.duration_s(location)
        utterances.append(
            Utterance(location, duration_s, **known, offset_s=row.get("offset_s") or 0.0, extra=extra)
        )
    if not utterances:
        wanted = f" with split {' or '.join(sorted(splits))}" if splits else ""
        raise ManifestError(f"{path}: holds no recordings{wanted}; check the file, or run `kws prep` again")
    return utterances
