"""Audio of others for training: listed, fetched and checked; what ``kws data`` does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws.counts import counted
from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    from data_prep.public_data import Checked, FetchedData, PublicData

SHOWN_PROBLEMS = 10
"""Sentences on what is wrong with one corpus that are shown."""


@dataclass(frozen=True, slots=True)
class DataList:
    """What can be fetched, and what was.

    Attributes:
        known: corpora that can be fetched.
        fetched: those that lie in the folder.
        folder: where fetched audio lies.
    """

    known: tuple[PublicData, ...]
    fetched: tuple[FetchedData, ...]
    folder: Path

    def lines(self) -> list[str]:
        """Return the table to print, and where the folder is."""
        here = {data.name for data in self.fetched}
        rows = [("name", "for", "hours", "download", "license", "commercial use", "here")]
        for data in self.known:
            rows.append(
                (
                    data.name,
                    ", ".join(data.roles),
                    data.hours or "-",
                    f"{'' if data.is_size_known else '~'}{data.download_mb:,} MB",
                    data.corpus.license.partition(" for the collection")[0],
                    "yes" if data.is_commercial else "NO",
                    "yes" if data.name in here else "-",
                )
            )
        rows += [
            (data.name, ", ".join(data.hours), _sum(data.hours.values()), "-", data.license,
             "yes" if data.is_commercial else "NO", "yes")
            for data in self.fetched
            if data.name not in {known.name for known in self.known}
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        return [*(line.rstrip() for line in table), f"fetched audio lies in {self.folder}"]


@dataclass(frozen=True, slots=True)
class FetchedCorpus:
    """A corpus that was fetched.

    Attributes:
        data: what it is, and where.
        was_there: it was there before.
        is_default: it lies where training looks when nothing is given.
    """

    data: FetchedData
    was_there: bool
    is_default: bool

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        data = self.data
        there = " was there already," if self.was_there else ""
        found = [f"{data.name}:{there} {_amounts(data)} in {data.place}"]
        found.append(f"license: {data.terms()}; {data.place / 'LICENSE.txt'} says whom to name")
        unknown = [source for source in data.sources if not source.publisher]
        found += [
            f"note: {source.url} has no published checksum; what came has the SHA-256 {source.sha256}"
            for source in unknown
        ]
        if not unknown and not self.was_there:
            found.append("checksums fit")
        for role in data.hours:
            if self.is_default and role != "rooms":
                found.append(f"training takes it as `{role}` where none are given")
            else:
                found.append(f"for training: `{role}` {data.manifest(role)}")
        return found


@dataclass(frozen=True, slots=True)
class CheckedData:
    """What a check of fetched audio found.

    Attributes:
        checked: corpus by corpus.
    """

    checked: tuple[Checked, ...]

    @property
    def is_good(self) -> bool:
        """Return whether all is as it came."""
        return not any(found.problems for found in self.checked)

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        told = []
        for found in self.checked:
            name, files = found.data.name, counted(found.num_files, "file")
            if not found.problems:
                told.append(f"{name}: {files}, checksums fit, all can be read; {_amounts(found.data)}")
                continue
            told.append(f"{name}: {files}, {counted(len(found.problems), 'problem')}")
            told += [f"  {problem}" for problem in found.problems[:SHOWN_PROBLEMS]]
            if (rest := len(found.problems) - SHOWN_PROBLEMS) > 0:
                told.append(f"  and {rest} more")
            told.append(f"  fetch it again with `overwrite=True`: {name}")
        return told


def list_data() -> DataList:
    """Return the corpora that can be fetched, and those that were.

    Raises:
        ConfigError: what lies in the folder is damaged.
    """
    from data_prep.public_data import CATALOG, fetched_in, fleurs, folder

    place = folder()
    return DataList((*CATALOG.values(), fleurs()), tuple(fetched_in(place)), place)


@quiet_libraries()
def fetch_data(
    name: str,
    output: Path | None = None,
    *,
    accept_noncommercial: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> FetchedCorpus:
    """Fetch a corpus, check it, and write the manifests that training takes.

    Args:
        name: as :func:`list_data` has it; ``fleurs:es_419`` is a language of FLEURS.
        output: folder of fetched audio; None is that of the person.
        accept_noncommercial: take it although its license forbids commercial use.
        overwrite: fetch again what is there already.
        progress: show bars; None shows them on a terminal only.
    Raises:
        KwsError: the name is unknown, its license was not accepted, the disk is too full, there is no
            network, or what came is not what was expected. The message names the remedy.
    """
    from data_prep.public_data import fetch_data as fetch
    from data_prep.public_data import folder

    into = folder() if output is None else output
    data, was_there = fetch(
        name, into, accept_noncommercial=accept_noncommercial, overwrite=overwrite, progress=progress
    )
    return FetchedCorpus(data, was_there, data.place.parent == folder().absolute())


def check_data(folders: Sequence[Path] = (), *, progress: bool | None = None) -> CheckedData:
    """Read fetched audio again: checksums, manifests, hours, and files that cannot be read.

    Args:
        folders: of one corpus each, or of fetched audio; none is that of the person.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        ConfigError: a folder holds no fetched audio, or what it says of itself is damaged.
    """
    from data_prep.public_data import check, folder

    places = list(folders) or [folder()]
    return CheckedData(tuple(found for place in places for found in check(place, progress)))


def _amounts(data: FetchedData) -> str:
    """Return how much of what there is, such as "7.3 h of negatives, 2 responses of rooms"."""
    told = []
    for role, hours in data.hours.items():
        if role == "rooms":
            told.append(f"{counted(data.recordings[role], 'response')} of rooms")
        else:
            told.append(f"{hours:.2f} h of {role}")
    return ", ".join(told)


def _sum(hours: Iterable[float]) -> str:
    return f"{sum(hours):.1f}"
