"""The folder of a recording session: its layout, and writing and removing what lies in it.

Called by :mod:`kws.workflows.record` and the studio, which write the same layout::

    positives/SPEAKER/001.wav    takes of the keyword
    negatives/SPEAKER/001.wav    other speech
    noise/001.wav                the room without speech
    positives.jsonl, negatives.jsonl    who speaks in each, and the text where it is known

`kws train` takes the manifests, and the folders too. Files are written under a temporary name first.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kws import audio
from kws.errors import ConfigError
from kws.text import normalize, same_words

POSITIVES, NEGATIVES, NOISE = "positives", "negatives", "noise"
LONGEST_NAME = 64
"""Letters of a speaker's name in a folder: file systems take 255 bytes, of which a letter may have four."""


class RecordingFolder:
    """Recordings of one keyword by any number of people.

    Args:
        folder: made when the first file is written.
        keyword: that is recorded in it.
    Raises:
        ConfigError: the keyword is empty, the folder is a file, or it holds takes of another keyword.
    """

    def __init__(self, folder: Path, keyword: str) -> None:
        self.folder, self.keyword = folder, " ".join(normalize(keyword).split())
        if not self.keyword:
            raise ConfigError("`keyword`: is empty; give what the device shall wake on")
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"`output` {folder}: is a file; give a folder")
        for text in set(self._texts(POSITIVES).values()) - {""}:
            if not same_words(text, self.keyword):
                raise ConfigError(
                    f"`output` {folder}: holds takes of {text!r}; give another folder for {self.keyword!r}"
                )

    @property
    def positives(self) -> Path:
        """Return the manifest of takes."""
        return self.folder / f"{POSITIVES}.jsonl"

    @property
    def negatives(self) -> Path:
        """Return the manifest of other speech."""
        return self.folder / f"{NEGATIVES}.jsonl"

    @property
    def noise(self) -> Path:
        """Return the folder of noise."""
        return self.folder / NOISE

    def save_take(self, waveform: np.ndarray, speaker: str) -> Path:
        """Write a take of the keyword, (samples,) float32, and return its path."""
        return self._save(POSITIVES, waveform, speaker, self.keyword)

    def save_negative(self, waveform: np.ndarray, speaker: str, text: str = "") -> Path:
        """Write other speech, (samples,) float32, with what was read where that is known."""
        return self._save(NEGATIVES, waveform, speaker, text)

    def save_noise(self, waveform: np.ndarray) -> Path:
        """Write noise of the room, (samples,) float32, and return its path."""
        path = _next(self.folder / NOISE)
        audio.save(path, waveform)
        return path

    def remove(self, path: Path) -> None:
        """Remove one recording of this folder; nothing happens where it is gone.

        Raises:
            ConfigError: the path is none of a recording in this folder.
        """
        part = next((name for name in (POSITIVES, NEGATIVES, NOISE) if path in self._files(name)), None)
        if part is None:
            if path.exists():
                raise ConfigError(f"{path}: is no recording of {self.folder}; nothing was removed")
            return
        path.unlink()
        if part != NOISE:
            self._write(part, self._texts(part))

    def takes(self, speaker: str | None = None) -> list[Path]:
        """Return the takes of a speaker, or of all, in the order in which they were recorded."""
        return self._files(POSITIVES, speaker)

    def negative_texts(self, speaker: str | None = None) -> list[str]:
        """Return what was read in the other speech of a speaker, or of all."""
        texts = self._texts(NEGATIVES)
        return [texts.get(self._name(path), "") for path in self._files(NEGATIVES, speaker)]

    def takes_by_speaker(self) -> dict[str, int]:
        """Return the number of takes of each speaker."""
        return dict(sorted(Counter(path.parent.name for path in self.takes()).items()))

    def negatives_s(self, speaker: str | None = None) -> float:
        """Return how much other speech there is, in seconds."""
        return sum(map(audio.duration_s, self._files(NEGATIVES, speaker)))

    def noise_s(self) -> float:
        """Return how much noise there is, in seconds."""
        return sum(map(audio.duration_s, self._files(NOISE)))

    def refresh(self) -> None:
        """Write the manifests anew, after somebody has put files into the folder or taken some away."""
        for part in (POSITIVES, NEGATIVES):
            if (self.folder / part).is_dir():
                self._write(part, self._texts(part))

    def _save(self, part: str, waveform: np.ndarray, speaker: str, text: str) -> Path:
        path = _next(self.folder / part / speaker_name(speaker))
        audio.save(path, waveform)
        self._write(part, {**self._texts(part), self._name(path): text})
        return path

    def _files(self, part: str, speaker: str | None = None) -> list[Path]:
        """Return the recordings of a part, sorted."""
        if part == NOISE:
            pattern = "*.wav"
        else:
            pattern = f"{'*' if speaker is None else speaker_name(speaker)}/*.wav"
        found = (self.folder / part).glob(pattern)
        return sorted(path for path in found if path.is_file() and not path.name.startswith("."))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _texts(self, part: str) -> dict[str, str]:
        """Return the text of each recording that the manifest knows."""
        manifest = self.folder / f"{part}.jsonl"
        if not manifest.is_file():
            return {}
        texts = {}
        for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                texts[str(row["path"])] = str(row.get("text") or "")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ConfigError(
                    f"{manifest}, line {number}: is no row of recordings; mend or remove the file"
                ) from error
        return texts

    def _write(self, part: str, texts: Mapping[str, str]) -> None:
        """Write the manifest of what lies there."""
        default = self.keyword if part == POSITIVES else ""
        rows = [
            {
                "path": self._name(path),
                "speaker": path.parent.name,
                **({"text": text} if (text := texts.get(self._name(path)) or default) else {}),
            }
            for path in self._files(part)
        ]
        with audio.atomic_write(self.folder / f"{part}.jsonl") as temporary:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            temporary.write_text(lines, encoding="utf-8")


def speaker_name(name: str) -> str:
    """Return a speaker's name as a folder can have it: letters, digits, ``-`` and ``_``.

    Raises:
        ConfigError: nothing is left of it.
    """
    found = re.sub(r"[^\w-]+", "_", normalize(name)).strip("_-")[:LONGEST_NAME].rstrip("_-")
    if not found:
        raise ConfigError(f"`speaker` {name!r}: has no letter or digit; give a name such as `ann`")
    return found


def _next(folder: Path) -> Path:
    """Return the path of the next recording: its number is above all that lie there."""
    numbers = [int(path.stem) for path in folder.glob("*.wav") if path.stem.isdecimal()]
    return folder / f"{max(numbers, default=0) + 1:03d}.wav"
