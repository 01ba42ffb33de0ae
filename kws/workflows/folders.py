"""Folders that commands write: whose they are, what in them may be removed, and what must not be touched.

A command claims its ``output`` before it writes anything there. The claim leaves a list of the names that the
command may write (:mod:`kws.workflows.written_files`); ``overwrite`` removes regular files of these names and
nothing else, so that after a kill at any moment, too, what others put into the folder is there as it was.
Sources are kept apart from the folder, and a folder that holds something else is refused.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ParamSpec, TypeVar

from kws.errors import ConfigError
from kws.text import shown
from kws.workflows.written_files import LIST, FolderKind

LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What desktops leave in a folder that was looked at; a folder of it alone is empty."""
_BEGUN = re.compile(r"\.(.+)\.[a-z0-9_]{8}")
"""A file that :func:`kws.audio.atomic_write` had begun when the process was killed."""
P = ParamSpec("P")
R = TypeVar("R")


class WrittenNames:
    """Tells by its name whether a file is one that a command writes.

    Args:
        names: relative to a folder, as :mod:`kws.workflows.written_files` says.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_depth: dict[int, list[list[str]]] = {}
        for name in names:
            parts = name.split("/")
            self._by_depth.setdefault(len(parts), []).append(parts)

    def hold(self, path: str) -> bool:
        """Tell whether a relative path is, or was begun as, a file of one of the names."""
        *place, file = path.split("/")
        begun = _BEGUN.fullmatch(file)
        names = self._by_depth.get(len(place) + 1, [])
        files = [file] if begun is None else [file, begun[1]]
        return any(all(map(fnmatchcase, [*place, each], parts)) for each in files for parts in names)


def keep_apart(output: Path, sources: Mapping[str, Iterable[Path | None]], *, above: bool = True) -> None:
    """Refuse sources that are the output folder, lie in it, or hold it; links are followed.

    Args:
        output: folder that is to be written; it need not exist.
        sources: argument -> files or folders that are read; None is none.
        above: also refuse a source that holds the folder.
    Raises:
        ConfigError: the message names both paths and the remedy.
    """
    for option, paths in sources.items():
        for path in paths:
            if path is None:
                continue
            source = Path(os.path.expanduser(path))  # which leaves `~x.wav` as it is
            if _lies_in(source, output):
                raise ConfigError(
                    f"`{option}` {path}: is, or lies in, `output` {output}, where this command writes and "
                    "`overwrite=True` removes; nothing was touched: give an `output` outside your own files"
                )
            if above and _lies_in(output, source):
                raise ConfigError(
                    f"`{option}` {path}: holds `output` {output}, so that what is written there would be "
                    "read as yours; nothing was touched: give an `output` outside it"
                )


def _lies_in(inner: Path, outer: Path) -> bool:
    """Tell whether a path is, or lies below, another one: by name, or by what the disk says is the same."""
    inner, outer = (Path(os.path.realpath(path)) for path in (inner, outer))
    if inner.is_relative_to(outer):
        return True
    try:
        wanted = outer.stat()
    except OSError:
        return False
    for path in (inner, *inner.parents):
        with suppress(OSError):
            if os.path.samestat(path.stat(), wanted):
                return True
    return False


def claim(folder: Path, kind: FolderKind) -> None:
    """Mark a folder as that of a command, with the names that may be removed from it.

    A missing or empty folder is free. One of the same kind is left as it is, of an earlier version too.

    Raises:
        ConfigError: it is a file, or holds something else; nothing is written.
    """
    from kws.audio import atomic_write

    if any("\udc80" <= letter <= "\udcff" for letter in str(folder)):
        raise ConfigError(
            f"`output` {shown(str(folder))}: holds bytes that are no UTF-8, under which models cannot be "
            "written; choose another name"
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"`output` {folder}: is a file; give a folder")
    listed = _read_list(folder)
    name, names = listed or (kind.name, ())
    found = _content(folder) if listed is None and not _of_earlier_version(folder, kind) else None
    if found or name != kind.name:
        such = f" (such as {found.name})" if found else ""
        raise ConfigError(
            f"{folder}: holds something else than {kind.what}{such}; nothing was touched: choose another "
            "`output`, empty or new"
        )
    values = {"kind": kind.name, "files": sorted({*kind.files, *names})}
    if listed is not None and set(names) >= set(kind.files):
        return
    with atomic_write(folder / LIST) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def clear(folder: Path, kind: FolderKind | None = None, names: Iterable[str] | None = None) -> None:
    """Remove the files of own names, and then the folders among them that are empty.

    Links are neither followed nor removed. The list itself stays until all else is gone, and goes only with a
    ``kind``.

    Args:
        folder: claimed.
        kind: remove all that a command of this kind writes, the list too; None takes the list.
        names: remove these alone.
    """
    if names is None:
        listed = _read_list(folder)
        names = {*(listed[1] if listed else ()), *(kind.files if kind else ())}
    files_of = [name for name in names if name != LIST]
    own = WrittenNames(files_of)
    above = WrittenNames(
        {name.rsplit("/", depth)[0] for name in files_of for depth in range(1, name.count("/") + 1)}
    )
    for place, _, files in os.walk(folder, topdown=False):
        relative = Path(place).relative_to(folder).as_posix()
        for file in files:
            path = Path(place, file)
            if own.hold(path.relative_to(folder).as_posix()) and stat.S_ISREG(path.lstat().st_mode):
                path.unlink(missing_ok=True)
        if relative != "." and above.hold(relative):
            with suppress(OSError):  # it holds what others put there
                os.rmdir(place)
    if kind is not None and (folder / LIST).is_file():
        (folder / LIST).unlink()


def size_mb(folder: Path) -> float:
    """Return what the files of a folder take on disk, in megabytes."""
    paths = (Path(place, file) for place, _, files in os.walk(folder) for file in files)
    return sum(path.lstat().st_size for path in paths) / 1e6


@contextmanager
def undone_when_refused(folder: Path | None, kind: FolderKind) -> Iterator[None]:
    """Remove what a command has written into a folder that was new, when it fails before it can go on.

    Where it can go on, the error gets a note that says so.

    Args:
        folder: of the command; None writes none.
        kind: of it.
    """
    if folder is None or (folder.exists() and (not folder.is_dir() or _content(folder))):
        yield
        return
    new = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
    try:
        yield
    except BaseException as error:
        if any(_holds(folder, name) for name in kind.goes_on):
            error.__notes__ = [f"{folder} is kept: the same command goes on from there"]
        elif isinstance(error, Exception) and folder.is_dir():
            clear(folder, kind)
            for place in new:
                with suppress(OSError):
                    place.rmdir()
        raise


def leaves_nothing(kind: FolderKind) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a command with :func:`undone_when_refused` for its argument ``output``."""

    def decorate(command: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(command)

        @functools.wraps(command)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            output = signature.bind(*args, **kwargs).arguments.get("output")
            with undone_when_refused(output, kind):
                return command(*args, **kwargs)

        return called

    return decorate


def _read_list(folder: Path) -> tuple[str, list[str]] | None:
    """Return kind and names of a claimed folder; None where there is no list, or one that is damaged."""
    try:
        values = json.loads((folder / LIST).read_text(encoding="utf-8"))
        return str(values["kind"]), [str(name) for name in values["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _content(folder: Path) -> Path | None:
    """Return something that a folder holds beside the list and litter, None where it is empty or missing."""
    if not folder.is_dir():
        return None
    found = (path for path in sorted(folder.iterdir()) if path.name not in LITTER)
    return next((path for path in found if not WrittenNames([LIST]).hold(path.name)), None)


def _of_earlier_version(folder: Path, kind: FolderKind) -> bool:
    """Tell a folder that a version without lists has made by a file that the command alone writes."""
    for name, text in kind.marks:
        with suppress(OSError):
            if text in (folder / name).read_text(encoding="utf-8", errors="replace"):
                return True
    return False


def _holds(folder: Path, name: str) -> bool:
    return next(folder.glob(name), None) is not None
