"""Files of others, fetched from their publishers and checked: voices, and audio to train on.

A file appears under its name only when it is whole and its checksum fits. A stopped fetch goes on where it
ended. Nothing here says which files there are.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tqdm import tqdm

from kws.errors import KwsError

PART = ".part"
"""Ending of a file that is being fetched; the next try goes on from it."""
VERSION = ".version"
"""Ending of the file beside it with what the server calls its content, where no checksum is known."""
BLOCK = 1 << 16
TIMEOUT_S = 30.0
NOTHING_LEFT = 416
"""Status of a server that has nothing from the place on where a file ends already."""


class FetchError(KwsError):
    """A file cannot be fetched, or is not the one that was expected.

    Attributes:
        status: of the server's answer; None where there was none.
    """

    def __init__(self, message: str = "", *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its publisher has it."""

    url: str
    """Where it is."""
    name: str
    """Its path below the folder that it is fetched into, with ``/`` between parts."""
    size: int | None
    """In bytes; None where the publisher does not say."""
    digest: str | None
    """In hexadecimal; of what, :attr:`digest_of` says. None where the publisher gives none."""
    digest_of: str = "sha256"
    """``sha256`` or ``md5`` of the content, or ``git`` for the SHA-1 under which git keeps it."""
    about: int = 0
    """Bytes where :attr:`size` is not known exactly; twice as many are refused."""

    @property
    def expected_size(self) -> int:
        """Return the size, or what it is about."""
        return self.about if self.size is None else self.size


def own_folder(variable: str, kind: Literal["cache", "data"], name: str) -> Path:
    """Return the folder where files of one kind lie on this machine; it need not exist.

    Args:
        variable: environment variable that names another one.
        kind: what may be fetched again at any time, or what a person keeps.
        name: of the folder.
    """
    if given := os.environ.get(variable):
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        place = home / "Library" / ("Caches" if kind == "cache" else "Application Support")
    elif sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif kind == "cache":
        place = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    else:
        place = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return place / "kws" / name


def fetch(files: list[RemoteFile], into: Path, progress: bool | None = None) -> list[Path]:
    """Fetch what is missing or damaged, check it, and return the paths of all.

    A file that was put there by hand is taken where its checksum fits, or where none is known.

    Args:
        files: what to fetch.
        into: folder for them.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        FetchError: there is no network, the connection ends, or a checksum does not fit.
    """
    paths = []
    for file in files:
        path = into.joinpath(*file.name.split("/"))
        if not path.is_file() or not _fits(file, path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + PART)
            _download(file, part, path, progress)
            if not _fits(file, part):
                found = digest(part, file.digest_of)
                part.unlink()
                raise FetchError(
                    f"{file.url}: its checksum is {found}, expected {file.digest}; what came was removed. "
                    "Try again; a second time it is another file than the one that is known"
                )
            part.replace(path)
            _version(part).unlink(missing_ok=True)
        paths.append(path)
    return paths


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the checksum of a file.

    Args:
        path: of the file.
        kind: as :attr:`RemoteFile.digest_of`.
    """
    if kind == "git":
        state = hashlib.sha1(usedforsecurity=False)
        state.update(f"blob {path.stat().st_size}\0".encode())
    else:
        state = hashlib.new(kind, usedforsecurity=kind != "md5")
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def reading(
    url: str, use: Callable[[Any], Any], headers: dict[str, str] | None = None, place: Path | None = None
) -> Any:
    """Open an address and return what ``use`` makes of the answer.

    Args:
        url: where it is.
        use: takes the answer.
        headers: of the request.
        place: where a person puts the file who gets it in another way.
    Raises:
        FetchError: there is no network, or no such file.
    """
    by_hand = "" if place is None else f". By hand: download {url} elsewhere and put it there as {place}"
    try:
        request = urllib.request.Request(url, headers=headers or {})
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            return use(answer)
    except urllib.error.HTTPError as error:
        raise FetchError(
            f"{url}: the server says {error.code} {error.reason}; check the name{by_hand}", status=error.code
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(
            f"{url}: cannot be reached ({reason}); check the network and give the same command again: it "
            f"goes on where it stopped{by_hand}"
        ) from error


def hub_entries(address: str) -> dict[str, dict[str, Any]]:
    """Return what a folder on the hub holds, by file name.

    Args:
        address: of the hub's list of the folder.
    Raises:
        FetchError: there is no network, no such folder, or the answer is no such list.
    """
    try:
        return {Path(entry["path"]).name: entry for entry in reading(address, json.load)}
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FetchError):
            raise
        raise FetchError(f"{address}: is no list of files ({error!r}); try again later") from error


def hub_file(entry: dict[str, Any], url: str, name: str) -> RemoteFile:
    """Return a file of the hub's list; large ones have a SHA-256, small ones what git keeps them under.

    Args:
        entry: of :func:`hub_entries`.
        url: where the file is.
        name: as :attr:`RemoteFile.name`.
    Raises:
        FetchError: the entry does not say its size or its checksum.
    """
    try:
        if large := entry.get("lfs"):
            return RemoteFile(url, name, int(large["size"]), str(large["oid"]))
        return RemoteFile(url, name, int(entry["size"]), str(entry["oid"]), "git")
    except (KeyError, TypeError, ValueError) as error:
        raise FetchError(f"{url}: the hub does not say its checksum ({error!r}); try again later") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Goes where a server points: to an address with https, or to another one of the same server."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the next request.

        Raises:
            FetchError: it would be an open one to another server.
        """
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme != "https" and (new.scheme, new.netloc) != (old.scheme, old.netloc):
            raise FetchError(
                f"{req.full_url}: the server points to {newurl}, which is not protected by https; it was not "
                "followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)


def _fits(file: RemoteFile, path: Path) -> bool:
    """Tell whether a file is the expected one, as far as that is known."""
    return file.digest is None or digest(path, file.digest_of) == file.digest


def _version(part: Path) -> Path:
    return part.with_name(part.name + VERSION)


def _download(file: RemoteFile, part: Path, place: Path, progress: bool | None) -> None:
    """Write an address into a file, after what is there of it already."""
    done = part.stat().st_size if part.exists() else 0
    version = _version(part).read_text(encoding="utf-8") if _version(part).exists() else ""
    if (file.size is not None and done > file.size) or (file.digest is None and not version):
        part.unlink(missing_ok=True)
        done = 0
    if done == file.size:
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    if done and file.digest is None:
        headers["If-Range"] = version
    try:
        total = reading(file.url, lambda answer: _write(answer, file, part, progress), headers, place)
    except FetchError as error:
        if error.status != NOTHING_LEFT or not done:
            raise
        part.unlink()  # of another version: the next try begins anew
        raise FetchError(f"{file.url}: has changed since; give the same command again") from error
    if total is not None and (got := part.stat().st_size) != total:
        raise FetchError(
            f"{file.url}: the connection ended after {got} of {total} bytes; give the same command "
            "again: it goes on from there"
        )


def _write(answer: Any, file: RemoteFile, part: Path, progress: bool | None) -> int | None:
    """Append an answer to a file; a server that does not go on from a place sends all of it anew.

    Returns:
        The size that the whole file should have; None where nobody says.
    """
    goes_on = answer.status == 206
    done = part.stat().st_size if goes_on else 0
    place = answer.headers.get("Content-Range", "")
    if goes_on and place and not place.startswith(f"bytes {done}-"):
        raise FetchError(f"{file.url}: the server goes on from another place ({place}); try again later")
    length = answer.headers.get("Content-Length")
    told = None if length is None or not length.isdigit() else done + int(length)
    total = told if file.size is None else file.size
    most = 2 * file.about if file.size is None else file.size
    bar = tqdm(
        total=total, initial=done, desc=Path(file.name).name, unit="B", unit_scale=True,
        disable=None if progress is None else not progress,
    )  # fmt: skip
    if file.digest is None and not goes_on:
        etag = answer.headers.get("ETag", "")
        same = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
        _version(part).write_text(same, encoding="utf-8")
    with part.open("ab" if goes_on else "wb") as target, bar:
        while block := answer.read(min(BLOCK, most + 1 - done)):
            try:
                target.write(block)
            except OSError as error:
                raise FetchError(
                    f"{part}: cannot be written ({error.strerror}); free some of the disk and give the same "
                    "command again: it goes on where it stopped"
                ) from error
            done += len(block)
            bar.update(len(block))
    if file.size is None and done > most:
        part.unlink()
        raise FetchError(
            f"{file.url}: sends more than {most / 1e6:,.0f} MB, where about {file.about / 1e6:,.0f} MB are "
            "expected; what came was removed"
        )
    return total
