"""Where voices lie that are no part of a package, and how their files are fetched and checked.

The folder is a cache of the person who runs the program: ``KWS_VOICES``, or where the platform keeps such.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kws.errors import KwsError

FOLDER_VARIABLE = "KWS_VOICES"
"""Environment variable that names the folder of voices."""
PART = ".part"
"""Ending of a file that is being fetched; the next try goes on from it."""
BLOCK = 1 << 16
TIMEOUT_S = 30.0


class FetchError(KwsError):
    """A file cannot be fetched, or is not the one that was expected."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a voice, as its publisher has it."""

    url: str
    """Where it is."""
    name: str
    """Its path below the folder of voices, with ``/`` between parts."""
    size: int
    """In bytes."""
    digest: str
    """In hexadecimal; of what, :attr:`digest_of` says."""
    digest_of: str = "sha256"
    """``sha256`` of the content, or ``git`` for the SHA-1 under which git keeps it."""


def folder() -> Path:
    """Return the folder of voices; it need not exist."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        cache = home / "Library" / "Caches"
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return cache / "kws" / "voices"


def fetch(files: list[RemoteFile], into: Path, progress: bool | None = None) -> list[Path]:
    """Fetch what is missing or damaged, check it, and return the paths of all.

    A file appears under its name only when it is whole and its checksum fits. What a stopped fetch left is
    gone on from.

    Args:
        files: what to fetch.
        into: folder of voices.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        FetchError: there is no network, the connection ends, or a checksum does not fit.
    """
    paths = []
    for file in files:
        path = into.joinpath(*file.name.split("/"))
        if not path.is_file() or digest(path, file.digest_of) != file.digest:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + PART)
            _download(file, part, progress)
            found = digest(part, file.digest_of)
            if found != file.digest:
                part.unlink()
                raise FetchError(
                    f"{file.url}: its checksum is {found}, expected {file.digest}; what came was removed. "
                    "Try again; a second time it is another file than the one that is known"
                )
            part.replace(path)
        paths.append(path)
    return paths


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the checksum of a file.

    Args:
        path: of the file.
        kind: as :attr:`RemoteFile.digest_of`.
    """
    state = hashlib.sha256()
    if kind == "git":
        state = hashlib.sha1(usedforsecurity=False)
        state.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def reading(url: str, use: Callable[[Any], Any], headers: dict[str, str] | None = None) -> Any:
    """Open an address and return what ``use`` makes of the answer.

    Raises:
        FetchError: there is no network, or no such file.
    """
    try:
        request = urllib.request.Request(url, headers=headers or {})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return use(answer)
    except urllib.error.HTTPError as error:
        raise FetchError(f"{url}: the server says {error.code} {error.reason}; check the name") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(
            f"{url}: cannot be reached ({reason}); check the network and give the same command again: it "
            "goes on where it stopped. Without a network, copy the voice's files into the folder of voices"
        ) from error


def _download(file: RemoteFile, part: Path, progress: bool | None) -> None:
    """Write an address into a file, after what is there of it already."""
    done = part.stat().st_size if part.exists() else 0
    if done > file.size:
        part.unlink()
        done = 0
    if done == file.size:
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    reading(file.url, lambda answer: _write(answer, file, part, progress), headers)
    if (got := part.stat().st_size) != file.size:
        raise FetchError(
            f"{file.url}: the connection ended after {got} of {file.size} bytes; give the same command "
            "again: it goes on from there"
        )


def _write(answer: Any, file: RemoteFile, part: Path, progress: bool | None) -> None:
    """Append an answer to a file; a server that does not go on from a place sends all of it anew."""
    goes_on = answer.status == 206
    done = part.stat().st_size if goes_on else 0
    bar = tqdm(
        total=file.size, initial=done, desc=Path(file.name).name, unit="B", unit_scale=True,
        disable=None if progress is None else not progress,
    )  # fmt: skip
    with part.open("ab" if goes_on else "wb") as target, bar:
        while block := answer.read(min(BLOCK, file.size + 1 - done)):
            target.write(block)
            done += len(block)
            bar.update(len(block))
