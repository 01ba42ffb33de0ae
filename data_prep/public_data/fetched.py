"""The folder of fetched audio, and what a folder in it says of itself.

``KWS_DATA`` names the folder, else it lies where the platform keeps a person's data. Each corpus has a folder
there: ``audio``, a manifest for each role, ``LICENSE.txt``, ``SHA256SUMS`` and ``data.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.fetching import own_folder
from kws.counts import counted
from kws.errors import ConfigError

FOLDER_VARIABLE = "KWS_DATA"
"""Environment variable that names the folder."""
RECORD, SUMS, LICENSE, AUDIO = "data.json", "SHA256SUMS", "LICENSE.txt", "audio"
"""What lies in the folder of a corpus, beside its manifests."""


def folder() -> Path:
    """Return the folder of fetched audio; it need not exist."""
    return own_folder(FOLDER_VARIABLE, "data", "data")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was fetched."""

    url: str
    """Where it came from."""
    size: int
    """In bytes."""
    sha256: str
    """Of what came."""
    publisher: str
    """Checksum that its publisher gives and that fits, such as ``md5 5df7…``; empty where there is none."""


@dataclass(frozen=True, slots=True)
class FetchedData:
    """A corpus that was fetched."""

    name: str
    """As in the catalog."""
    license: str
    """Of it."""
    is_commercial: bool
    """It may be used for business."""
    sources: tuple[Source, ...]
    """Files that were fetched."""
    hours: dict[str, float]
    """Role -> hours of audio."""
    recordings: dict[str, int]
    """Role -> number of recordings."""
    place: Path
    """Its folder."""

    def manifest(self, role: str) -> Path:
        """Return the manifest of a role that it has."""
        return manifest_of(self.place, role)

    def told(self, role: str) -> str:
        """Return the corpus for a person, such as "mini_librispeech, 7.3 h, CC BY 4.0"."""
        if role == "rooms":
            amount = counted(self.recordings[role], "response")
        else:
            hours = self.hours[role]
            amount = f"{hours:.1f} h" if hours >= 1 else f"{hours:.2f} h"
        return f"{self.name}, {amount}, {self.terms()}"

    def terms(self) -> str:
        """Return its license, with a clear word where it forbids business."""
        return self.license if self.is_commercial else f"{self.license} (no commercial use)"

    def to_json(self) -> str:
        """Return the content of its record; the folder is not part of it."""
        values = {key: value for key, value in asdict(self).items() if key != "place"}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def manifest_of(place: Path, role: str) -> Path:
    """Return where the manifest of a role lies in the folder of a corpus."""
    return place / f"{role}.jsonl"


def read_record(place: Path) -> FetchedData:
    """Read what the folder of a corpus says of itself.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        values: dict[str, Any] = json.loads((place / RECORD).read_text(encoding="utf-8"))
        return FetchedData(
            name=str(values["name"]),
            license=str(values["license"]),
            is_commercial=bool(values["is_commercial"]),
            sources=tuple(Source(**source) for source in values["sources"]),
            hours={str(role): float(hours) for role, hours in values["hours"].items()},
            recordings={str(role): int(number) for role, number in values["recordings"].items()},
            place=place,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{place / RECORD}: cannot be read ({error!r}); remove the folder and fetch it again"
        ) from error


def fetched_in(place: Path) -> list[FetchedData]:
    """Return the corpora in a folder of fetched audio, sorted by name.

    Raises:
        ConfigError: the record of one is damaged.
    """
    found = sorted(place.glob(f"*/{RECORD}")) if place.is_dir() else []
    return [read_record(path.parent) for path in found if not path.parent.name.startswith(".")]
