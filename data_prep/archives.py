"""Archives of others, unpacked so that nothing in them can do harm.

Only regular files are written, only below one folder, and no more than was allowed. Links and devices are
passed by. Called for what :mod:`data_prep.public_data` has fetched.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm import tqdm

from data_prep.fetching import FetchError

BLOCK = 1 << 20
MOST_FILES = 500_000
"""More files than this are refused; the largest corpus that is known here holds some 110 000."""
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # a password, or an unknown compression
)
"""What the libraries raise for archives that they cannot read."""
DRIVE = re.compile(r"[A-Za-z]:")
"""How a path of Windows may start."""


@dataclass(frozen=True, slots=True)
class UnpackedFile:
    """One file that came out of an archive."""

    name: str
    """Below the folder, with ``/`` between parts."""
    digest: str
    """SHA-256 of its content."""


def unpack(
    archive: Path,
    into: Path,
    most_bytes: int,
    keep: Callable[[str], bool] = lambda name: True,
    progress: bool | None = None,
) -> list[UnpackedFile]:
    """Unpack a tar archive, compressed or not, or a zip archive.

    Args:
        archive: the file.
        into: folder, which may hold files already.
        most_bytes: the kept files may take so much, counted as they are written.
        keep: tells from a file's name whether it is wanted.
        progress: show a bar; None shows it on a terminal only.
    Returns:
        What was written, in the archive's order.
    Raises:
        FetchError: it is damaged, or one that does harm: paths outside the folder, too many files, too large.
    """
    is_zip = zipfile.is_zipfile(archive)
    members = _zip_members if is_zip else _tar_members
    found: list[UnpackedFile] = []
    left = most_bytes
    try:
        for number, (name, content) in enumerate(members(archive, progress)):
            if number >= MOST_FILES:
                raise FetchError(f"{archive}: holds more than {MOST_FILES} files; it is refused")
            place = _inside(name, archive)
            if not keep(str(place)):
                continue
            target = into.joinpath(*place.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            size, digest = _copy(content, target, left)
            left -= size
            if left < 0:
                most = f"{most_bytes / 1e6:,.0f} MB"
                raise FetchError(f"{archive}: holds more than the {most} that were expected; it is refused")
            found.append(UnpackedFile(str(place), digest))
    except DAMAGED as error:
        raise FetchError(f"{archive}: is damaged ({error}); remove it and fetch it again") from error
    if not found:
        raise FetchError(f"{archive}: holds none of the files that were expected; it is refused")
    return found


def _inside(name: str, archive: Path) -> PurePosixPath:
    """Return a name as a path that stays below the folder.

    Raises:
        FetchError: it leads elsewhere.
    """
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name or DRIVE.match(name):
        raise FetchError(f"{archive}: holds a file {name!r}, which leads out of the folder; it is refused")
    return place


def _copy(content: IO[bytes], target: Path, most_bytes: int) -> tuple[int, str]:
    """Write a file, and no more than one block beyond what is allowed; return its size and SHA-256."""
    size, state = 0, hashlib.sha256()
    with target.open("wb") as file:
        while size <= most_bytes and (block := content.read(BLOCK)):
            file.write(block)
            state.update(block)
            size += len(block)
    return size, state.hexdigest()


def _tar_members(archive: Path, progress: bool | None) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of each regular file, as they come."""
    with archive.open("rb") as raw, _bar(archive, progress) as bar:
        with tarfile.open(fileobj=_Counted(raw, bar), mode="r:*") as tar:  # type: ignore[call-overload]
            for member in tar:
                if member.isreg() and (content := tar.extractfile(member)) is not None:
                    yield member.name, content
            while tar.fileobj.read(BLOCK):  # to its end, where the checksum of the compression stands
                pass


def _zip_members(archive: Path, progress: bool | None) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of each regular file."""
    with zipfile.ZipFile(archive) as file, _bar(archive, progress) as bar:
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if not member.is_dir() and kind in (0, stat.S_IFREG):
                with file.open(member) as content:
                    yield member.filename, content
            bar.update(member.compress_size)


def _bar(archive: Path, progress: bool | None) -> Any:
    return tqdm(
        total=archive.stat().st_size, desc=f"unpacking {archive.name}", unit="B", unit_scale=True,
        disable=None if progress is None else not progress,
    )  # fmt: skip


class _Counted:
    """A file that moves a bar as it is read."""

    def __init__(self, file: IO[bytes], bar: Any) -> None:
        self.file, self.bar = file, bar
        self.tell, self.seek, self.seekable = file.tell, file.seek, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        block = self.file.read(size)
        self.bar.update(max(0, self.file.tell() - self.bar.n))
        return block
