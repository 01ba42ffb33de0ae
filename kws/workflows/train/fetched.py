"""Fetched audio, which training takes where a person gives none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.errors import ConfigError

if TYPE_CHECKING:
    from data_prep.public_data import FetchedData

FIRST = "mini_librispeech"
"""Corpus that a person without any is told to fetch."""


@dataclass(frozen=True, slots=True)
class TakenAudio:
    """A fetched corpus that a run takes."""

    role: str
    """``negatives`` or ``noise``."""
    name: str
    """As `kws data` lists it."""
    license: str
    """Of the corpus."""
    hours: float
    """Of audio for that role, as fetched."""
    manifest: Path
    """What the run reads."""
    note: str
    """What a person is told, such as "negatives: mini_librispeech, 7.3 h, CC BY 4.0"."""

    def facts(self) -> dict[str, Any]:
        """Return what a run remembers of it; the manifest by its content."""
        sha256 = hashlib.sha256(self.manifest.read_bytes()).hexdigest()
        named = {"role": self.role, "name": self.name, "license": self.license, "hours": self.hours}
        return {**named, "manifest": sha256}


def take(negatives: Sequence[Path] | None, noise: Sequence[Path] | None) -> tuple[TakenAudio, ...]:
    """Return the fetched audio that stands in for what a person does not give.

    Args:
        negatives: as given; None or none of them takes what was fetched.
        noise: as given; None takes what was fetched, and an empty list nothing.
    Raises:
        ConfigError: no negatives are given, and none were fetched; or what was fetched is damaged.
    """
    from data_prep.public_data import fetched_in, find, folder

    wanted = [role for role, given in (("negatives", not negatives), ("noise", noise is None)) if given]
    if not wanted:
        return ()
    place = folder()
    found = fetched_in(place)
    taken = tuple(_taken(data, role) for role in wanted for data in found if role in data.hours)
    if "negatives" in wanted and not any(each.role == "negatives" for each in taken):
        first = find(FIRST)
        raise ConfigError(
            f"`negatives`: none were given, and none were fetched into {place}: `kws data fetch {FIRST}` "
            f"brings {first.hours} h of English speech ({first.download_mb} MB, {first.corpus.license}); or "
            "give own recordings of other speech, without the keyword"
        )
    return taken


def _taken(data: FetchedData, role: str) -> TakenAudio:
    note = f"{role}: {data.told(role)}"
    return TakenAudio(role, data.name, data.license, data.hours[role], data.manifest(role), note)


def with_taken(given: Sequence[Path] | None, taken: Sequence[TakenAudio], role: str) -> tuple[Path, ...]:
    """Return what a run reads for a role: what is given, else what was taken for it."""
    return tuple(given) if given else tuple(each.manifest for each in taken if each.role == role)
