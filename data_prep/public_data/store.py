"""Fetch a corpus: its archives, what is unpacked of them, its manifests and its license.

All of it is made in a folder with another name, which gets its own when everything is there.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from data_prep import manifests
from data_prep.archives import unpack
from data_prep.corpora.base import need_lhotse
from data_prep.fetching import PART, digest, fetch
from data_prep.public_data.base import ROLES, CorpusFile, PublicData, role_of
from data_prep.public_data.catalog import find, parts_of
from data_prep.public_data.fetched import (
    AUDIO,
    LICENSE,
    RECORD,
    SUMS,
    FetchedData,
    Source,
    manifest_of,
    read_record,
)
from kws.audio import AUDIO_SUFFIXES
from kws.errors import ConfigError
from kws.manifest import Recording

DOWNLOADS = "downloads"
"""Folder of the archives, until they are unpacked."""
SPARE_MB = 200
"""Of the disk, that is left free."""


def fetch_data(
    name: str,
    into: Path,
    *,
    accept_noncommercial: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> tuple[FetchedData, bool]:
    """Fetch a corpus into a folder of its own.

    Args:
        name: of the catalog.
        into: folder of fetched audio.
        accept_noncommercial: take it although it may not be used for business.
        overwrite: fetch again what is there already.
        progress: show bars; None shows them on a terminal only.
    Returns:
        What is there, and whether it was there before.
    Raises:
        ConfigError: the name is unknown, commercial use is forbidden and that was not accepted, or the disk
            is too full.
        FetchError: there is no network, the connection ended, or what came is not what was expected.
        ManifestError: what was unpacked is not the corpus.
        DependencyError: lhotse is not installed.
    """
    data = find(name)
    if not (data.is_commercial or accept_noncommercial):
        raise ConfigError(
            f"{data.name}: its license, {data.corpus.license}, forbids commercial use, and may do so for "
            "what is trained on it; give `accept_noncommercial=True` where that is no harm"
        )
    place = into.expanduser().absolute() / data.folder
    if (place / RECORD).exists() and not overwrite:
        return read_record(place), True
    if place.exists() and not (place / RECORD).exists():
        raise ConfigError(f"{place}: is there, but was not fetched; move it, or give another `output`")
    if data.corpus.needs_lhotse:
        need_lhotse()
    parts = parts_of(data)
    downloads = place.parent / DOWNLOADS / data.folder
    _refuse_full_disk(data, parts, downloads)
    archives = fetch([part.file for part in parts], downloads, progress)
    made = place.with_name(f".{place.name}{PART}")
    shutil.rmtree(made, ignore_errors=True)
    try:
        sources = tuple(_source(part, archive) for part, archive in zip(parts, archives, strict=True))
        sums = _unpack(parts, archives, made / AUDIO, progress)
        _describe(data, made, sources, sums)
        if place.exists():
            _remove(place)
        os.replace(made, place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(downloads)
    return read_record(place), False


def _refuse_full_disk(data: PublicData, parts: tuple[CorpusFile, ...], downloads: Path) -> None:
    """Refuse a disk that cannot hold both the archives and what is unpacked of them.

    Raises:
        ConfigError: it cannot.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    needed_mb = float(SPARE_MB)
    for part in parts:
        path = downloads.joinpath(*part.file.name.split("/"))
        there = [each for each in (path, path.with_name(path.name + PART)) if each.is_file()]
        left = part.file.expected_size - sum(each.stat().st_size for each in there)
        needed_mb += max(0, left) / 1e6 + part.unpacked_mb
    free_mb = shutil.disk_usage(downloads).free / 1e6
    if free_mb < needed_mb:
        raise ConfigError(
            f"{downloads.parent.parent}: has {free_mb:,.0f} MB free, and {data.name} needs about "
            f"{needed_mb:,.0f} MB while it is unpacked; free some, or give another `output`"
        )


def _source(part: CorpusFile, archive: Path) -> Source:
    """Return what is remembered of a fetched file, of which the publisher's checksum fitted."""
    file = part.file
    given = "" if file.digest is None else f"{file.digest_of} {file.digest}"
    is_known = file.digest is not None and file.digest_of == "sha256"
    sha256 = str(file.digest) if is_known else digest(archive)
    return Source(file.url, archive.stat().st_size, sha256, given)


def _unpack(
    parts: tuple[CorpusFile, ...], archives: list[Path], audio: Path, progress: bool | None
) -> dict[str, str]:
    """Unpack archives and copy tables; return the SHA-256 of each file by its name below the folder above."""
    sums: dict[str, str] = {}
    for part, archive in zip(parts, archives, strict=True):
        target = audio / part.into
        above = target.relative_to(audio.parent).as_posix()
        if part.is_archive:
            most = round(2e6 * part.unpacked_mb)
            for file in unpack(archive, target, most, part.wants, progress):
                sums[f"{above}/{file.name}"] = file.digest
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, target / archive.name)
            sums[f"{above}/{archive.name}"] = digest(archive)
    return sums


def _describe(data: PublicData, made: Path, sources: tuple[Source, ...], sums: dict[str, str]) -> None:
    """Write manifests, license, checksums and record; audio that no manifest names is removed."""
    listed = made / "corpus.jsonl"
    recordings = manifests.read(data.corpus.prepare(made / AUDIO / data.root, listed))
    listed.unlink()
    by_role: defaultdict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        by_role[role_of(recording)].append(recording)
    roles = {role: _with_splits(by_role[role]) for role in ROLES if by_role[role]}
    named = {recording.path for recording in recordings}
    for name in [name for name in sums if Path(name).suffix.lower() in AUDIO_SUFFIXES]:
        if made / name not in named:
            (made / name).unlink()
            del sums[name]
    for role, kept in roles.items():
        manifests.write(kept, manifest_of(made, role))
        sums[f"{role}.jsonl"] = digest(manifest_of(made, role))
    (made / LICENSE).write_text(_license(data, recordings), encoding="utf-8")
    sums[LICENSE] = digest(made / LICENSE)
    lines = [f"{value}  {name}\n" for name, value in sorted(sums.items())]
    (made / SUMS).write_text("".join(lines), encoding="utf-8")
    record = FetchedData(
        data.name,
        data.corpus.license,
        data.is_commercial,
        sources,
        {role: round(sum(each.length_s for each in kept) / 3600, 3) for role, kept in roles.items()},
        {role: len(kept) for role, kept in roles.items()},
        made,
    )
    (made / RECORD).write_text(record.to_json(), encoding="utf-8")


def _with_splits(recordings: list[Recording]) -> list[Recording]:
    """Return recordings without a split where all have the same: training shares them out by speaker then."""
    if len({recording.split for recording in recordings}) > 1:
        return recordings
    return [replace(recording, split=None) for recording in recordings]


def _license(data: PublicData, recordings: list[Recording]) -> str:
    """Return the terms of a corpus, with the author of each recording where they differ."""
    lines = [
        f"{data.name}: {data.what}",
        "",
        f"License: {data.corpus.license}",
        f"Commercial use: {'yes' if data.is_commercial else 'no'}",
        f"From: {data.corpus.url}",
        f"Name where you publish what is made of it: {data.corpus.citation}",
        "Changed: the recordings are as they came; some files may be left out.",
    ]
    own = [
        f"{entry.path.name}: {entry.extra['attribution']} [{entry.extra.get('license', '')}]"
        for entry in recordings
        if entry.extra.get("attribution")
    ]
    return "\n".join([*lines, *(["", "Recordings:", *own] if own else [])]) + "\n"


def read_sums(place: Path) -> dict[str, str]:
    """Return file -> SHA-256 of the folder of a corpus; names that lead out of it are none of its files."""
    lines = (place / SUMS).read_text(encoding="utf-8").split("\n")
    found = {name: value for value, _, name in (line.partition("  ") for line in lines) if name}
    return {
        name: value
        for name, value in found.items()
        if not (Path(name).is_absolute() or ".." in Path(name).parts)
    }


def _remove(place: Path) -> None:
    """Remove what was fetched into a folder, and the folder where nothing else is in it.

    Raises:
        ConfigError: something else is in it.
    """
    for name in [*read_sums(place), SUMS, RECORD]:
        (place / name).unlink(missing_ok=True)
    for above, _, files in os.walk(place, topdown=False):
        if files:
            raise ConfigError(
                f"{Path(above) / sorted(files)[0]}: was not fetched; move it and give the same command again"
            )
        os.rmdir(above)
