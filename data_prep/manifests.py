"""Recordings from whatever a person has (a folder, JSONL, CSV or Lhotse), and to the manifest of training.

Every stage of ``data_prep`` takes and returns a list of :class:`kws.manifest.Recording`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

from tqdm import tqdm

from data_prep.lhotse_manifests import from_lhotse, is_lhotse
from kws.audio import AUDIO_SUFFIXES, atomic_write
from kws.errors import ManifestError
from kws.manifest import SPLITS, Recording, expanded, from_row, read_rows, read_text, to_row

logger = logging.getLogger(__name__)

ENDINGS_NAMED = 8
"""Endings of files that a scan passed by, which are named."""

BAR_DELAY_S = 2.0
"""Work that is done sooner shows no bar."""


def read(source: str | Path, notes: list[str] | None = None) -> list[Recording]:
    """Read recordings from whatever a person has.

    Args:
        source: a folder (searched for audio, in sorted order), a manifest (``.jsonl``, ``.jsonl.gz``,
            ``.csv`` or ``.tsv`` with a ``path`` column), Lhotse cuts or recordings (``.jsonl``,
            ``.jsonl.gz``), or one audio file.
        notes: gets a sentence about files of a folder that are no audio by their names.
    Returns:
        Recordings in the order of the source. Some files may be missing (``checks`` finds them), not all.
    Raises:
        ManifestError: the source is missing, empty, of an unknown kind or malformed (the line is named).
        DependencyError: the manifest is Lhotse's and lhotse is not installed.
    """
    given = str(source)
    source = Path(os.path.abspath(given if os.path.exists(given) else expanded(given)))
    if source.is_dir():
        return _scan_folder(source, [] if notes is None else notes)
    if not source.exists():
        raise ManifestError(
            f"{source}: no such file or folder; give a folder of recordings, a manifest (.jsonl, .csv) or "
            "an audio file"
        )
    suffixes = [suffix.lower() for suffix in source.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    if kind in AUDIO_SUFFIXES:
        return [Recording(path=source)]
    if kind == ".jsonl":
        recordings = _read_jsonl(source)
    elif kind in {".csv", ".tsv"}:
        recordings = _read_csv(source)
    else:
        allowed = ", ".join(sorted(AUDIO_SUFFIXES))
        raise ManifestError(
            f"{source}: neither a manifest nor audio; give a folder, .jsonl, .jsonl.gz, .csv, .tsv or "
            f"audio ({allowed})"
        )
    if not recordings:
        raise ManifestError(f"{source}: holds no recordings; write one line per recording, with a `path`")
    if not any(recording.path.exists() for recording in recordings):
        raise ManifestError(
            f"{source}: none of its {len(recordings)} audio files exists; the first is {recordings[0].path}. "
            f"Paths are relative to {source.parent}, then to {source.parent.parent}; move the manifest or "
            "mend its paths"
        )
    return recordings


def read_all(sources: Iterable[str | Path], notes: list[str] | None = None) -> list[Recording]:
    """Read several sources after each other, as :func:`read` does."""
    return [recording for source in sources for recording in read(source, notes)]


def write(recordings: Iterable[Recording], path: str | Path) -> Path:
    """Write a JSONL manifest, under a temporary name first.

    Args:
        recordings: written in this order; paths under the manifest's folder become relative to it.
        path: ends in ``.jsonl`` or ``.jsonl.gz``. Bytes of a name that are no UTF-8 are written as JSON's
            escapes of what Python reads them as.
    Returns:
        The absolute path written.
    Raises:
        ManifestError: another ending, or a value that JSON cannot hold.
    """
    path = Path(os.path.abspath(path))
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ManifestError(f"{path}: manifests are written as .jsonl or .jsonl.gz; change the name")
    lines = []
    for recording in recordings:
        try:
            lines.append(json.dumps(to_row(recording, path.parent), ensure_ascii=False, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ManifestError(
                f"{path}: {recording.name} cannot be written as JSON ({error}); mend its fields"
            ) from error
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
    return path


def fingerprint(recordings: Iterable[Recording]) -> str:
    """Hash every field of the recordings, and size and time of change of their files."""
    digest = hashlib.blake2b(digest_size=16)
    for recording in recordings:
        try:
            state = recording.path.stat()
            seen = (state.st_size, state.st_mtime_ns)
        except OSError:
            seen = (-1, -1)
        row = to_row(recording, Path("/"))
        digest.update(json.dumps([row, seen], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def content_fingerprint(recordings: Iterable[Recording]) -> str:
    """Hash every field of the recordings and what their files hold: the same wherever a copy of them lies.

    Each file is read once; a bar is shown where that takes more than a moment.
    """
    digest = hashlib.blake2b(digest_size=16)
    for recording in tqdm(recordings, "comparing recordings", unit="file", delay=BAR_DELAY_S, disable=None):
        try:
            state = recording.path.stat()
            held = _content_hash(recording.path, state.st_size, state.st_mtime_ns)
        except OSError:
            held = ""
        row = {**to_row(recording, Path("/")), "path": recording.name}
        digest.update(json.dumps([row, held], sort_keys=True, default=str).encode())
    return digest.hexdigest()


@cache
def _content_hash(path: Path, size: int, changed_ns: int) -> str:
    """Hash what a file of this size and time of change holds."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def hours(recordings: Iterable[Recording]) -> dict[str, dict[str, float]]:
    """Return hours per split and label, both sorted; recordings of unknown length count as zero."""
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for recording in recordings:
        totals[recording.split or "unsplit"][recording.label or "unlabelled"] += (
            recording.duration_s or 0.0
        ) / 3600
    return {split: dict(sorted(labels.items())) for split, labels in sorted(totals.items())}


def validate(
    recordings: Sequence[Recording], allow_shared: Collection[str] = ()
) -> dict[str, dict[str, float]]:
    """Prove that train, dev and test share no speaker and no audio file.

    Args:
        recordings: each with its split.
        allow_shared: speakers that may be on both sides, because a person has no recordings of anyone else.
    Returns:
        Hours per split and label.
    Raises:
        ManifestError: a speaker or a file is in two splits, or a recording has no split.
    """
    speakers: dict[str, set[str]] = defaultdict(set)
    files: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        if recording.split not in SPLITS:
            raise ManifestError(
                f"{recording.name}: split is {recording.split!r}, expected {', '.join(SPLITS)}; split first"
            )
        files[str(recording.path)].add(recording.split)
        if recording.speaker is not None and recording.speaker not in allow_shared:
            speakers[recording.speaker].add(recording.split)
    for kind, found in (("speaker", speakers), ("file", files)):
        shared = {key: splits for key, splits in sorted(found.items()) if len(splits) > 1}
        if shared:
            listed = "; ".join(
                f"{key} in {' and '.join(sorted(splits))}" for key, splits in list(shared.items())[:3]
            )
            raise ManifestError(
                f"{len(shared)} {kind}(s) in more than one split: {listed}. Results would be too good; give "
                f"each {kind} one split, or leave the split column empty and let `kws prep` choose"
            )
    return hours(recordings)


def _scan_folder(folder: Path, notes: list[str]) -> list[Recording]:
    """List audio files below a folder in sorted order, hidden ones left out, linked folders entered once."""
    found: list[Path] = []
    passed: Counter[str] = Counter()
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        suffix_of = {name: os.path.splitext(name)[1].lower() for name in names if not name.startswith(".")}
        found += [Path(root, name) for name, suffix in suffix_of.items() if suffix in AUDIO_SUFFIXES]
        passed.update(suffix for suffix in suffix_of.values() if suffix not in AUDIO_SUFFIXES)
    if not found:
        allowed = ", ".join(sorted(AUDIO_SUFFIXES))
        there = f" ({_passed_by(passed)})" if passed else ""
        raise ManifestError(
            f"{folder}: holds no audio files{there}; put recordings there ({allowed}) or give another folder"
        )
    if passed:
        notes.append(f"{folder}: {_passed_by(passed)}")
    if (folder / "manifest.jsonl").exists():
        logger.warning(
            "%s: read as a folder of audio; give manifest.jsonl itself to use its texts and speakers", folder
        )
    return [Recording(path=path) for path in sorted(found)]


def _passed_by(passed: Counter[str]) -> str:
    """Say how many files of which endings are no audio by their names, most frequent first."""
    counts = sorted(passed.items(), key=lambda pair: (-pair[1], pair[0]))
    parts = [f"{count} {suffix or 'without an ending'}" for suffix, count in counts[:ENDINGS_NAMED]]
    if rest := sum(count for _, count in counts[ENDINGS_NAMED:]):
        parts.append(f"{rest} of other endings")
    total = passed.total()
    return f"{total} {'file' if total == 1 else 'files'} passed by: {', '.join(parts)}"


def _read_jsonl(path: Path) -> list[Recording]:
    """Read our own rows or Lhotse's, told apart line by line."""
    return [
        from_lhotse(row, path.parent, where)
        if "path" not in row and is_lhotse(row)
        else from_row(row, path.parent, where)
        for where, row in read_rows(path)
    ]


def _read_csv(path: Path) -> list[Recording]:
    """Read CSV; the separator is whichever of comma, semicolon and tab the header holds most."""
    text = read_text(path)
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
    if "path" not in rows.fieldnames:
        given = ", ".join(name for name in rows.fieldnames if name) or "none"
        raise ManifestError(
            f"{path}: no `path` column; columns given: {given}; name the audio file's column `path`"
        )
    recordings = []
    try:
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row or None in row.values():
                raise ManifestError(
                    f"{where}: not {len(rows.fieldnames)} values as in the header; quote text with commas"
                )
            recordings.append(from_row(row, path.parent, where))
    except csv.Error as error:
        raise ManifestError(
            f"{path}, line {rows.line_num}: not valid CSV ({error}); mend the quotes"
        ) from error
    return recordings
