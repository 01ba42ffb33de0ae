"""Look whether fetched audio is what came: checksums, manifests, hours, and files that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data_prep import manifests
from data_prep.fetching import digest
from data_prep.public_data.fetched import RECORD, FetchedData, fetched_in, read_record
from data_prep.public_data.store import read_sums
from kws import audio
from kws.errors import AudioError, ConfigError, ManifestError

TOLERANCE_S = 0.05
"""A file whose length differs by more from its manifest is told."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found of one corpus."""

    data: FetchedData
    """As its record says it."""
    num_files: int
    """That were read."""
    problems: tuple[str, ...]
    """Sentences, each on one file; none where all is as it came."""


def check(place: Path, progress: bool | None = None) -> list[Checked]:
    """Read all files of one corpus, or of all in a folder.

    Args:
        place: folder of one corpus, or of fetched audio.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        ConfigError: nothing was fetched into the folder, or the record of a corpus is damaged.
    """
    place = place.expanduser().absolute()
    found = [read_record(place)] if (place / RECORD).exists() else fetched_in(place)
    if not found:
        raise ConfigError(f"{place}: holds no fetched audio; `kws data fetch` brings some")
    return [_check(data, progress) for data in found]


def _check(data: FetchedData, progress: bool | None) -> Checked:
    """Read all files of a corpus."""
    problems = []
    try:
        sums = read_sums(data.place)
    except (OSError, UnicodeDecodeError) as error:
        return Checked(data, 0, (f"the list of checksums cannot be read ({error})",))
    bar = tqdm(
        sums.items(), f"reading {data.name}", unit="file", disable=None if progress is None else not progress
    )
    for name, value in bar:
        path = data.place / name
        if not path.is_file():
            problems.append(f"{path}: is missing")
        elif digest(path) != value:
            problems.append(f"{path}: its checksum is another one")
    for role, hours in data.hours.items():
        problems += _problems_of(data, role, hours)
    return Checked(data, len(sums), tuple(problems))


def _problems_of(data: FetchedData, role: str, hours: float) -> list[str]:
    """Return what is wrong with a manifest and with the audio that it names."""
    try:
        recordings = manifests.read(data.manifest(role))
    except ManifestError as error:
        return [str(error)]
    problems, length_s = [], 0.0
    for recording in recordings:
        try:
            found_s = audio.duration_s(recording.path)
        except AudioError as error:
            problems.append(str(error))
            continue
        length_s += found_s
        if abs(found_s - recording.length_s) > TOLERANCE_S:
            problems.append(
                f"{recording.path}: is {found_s:.2f} s long, {recording.length_s:.2f} s in the manifest"
            )
    if not problems and abs(length_s / 3600 - hours) > max(0.001, 0.001 * hours):
        problems.append(f"{data.manifest(role)}: {length_s / 3600:.2f} h, {hours:.2f} h were fetched")
    return problems
