"""The body of a request into a file: no more than is allowed, under a name that is ours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from kws.audio import AUDIO_SUFFIXES
from kws.json_text import parse_json
from kws.text import normalize

LONGEST_ORIGIN = 80
"""Letters of the name of an uploaded file that are shown."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much one request and one studio take."""

    file_bytes: int = 256 * 2**20
    """Largest file; an hour of 16-bit audio at 48 kHz takes 330 MB as WAV and 150 MB as FLAC."""
    json_bytes: int = 64 * 2**10
    """Largest body of any other request."""
    at_once: int = 2
    """Files that are decoded and checked at once."""
    waiting: int = 16
    """Files that may wait for that; more are refused."""


async def read_json(request: Request, limits: UploadLimits) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        HTTPException: 413 too large, 400 no JSON object.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.json_bytes:
            raise HTTPException(413, f"more than {limits.json_bytes} bytes")
    try:
        values = parse_json(bytes(body) or b"{}")
    except ValueError as error:
        raise HTTPException(400, f"no JSON: {error}") from error
    if not isinstance(values, dict):
        raise HTTPException(400, "no JSON object")
    return values


@asynccontextmanager
async def received_file(request: Request, name: str, limits: UploadLimits) -> AsyncIterator[Path]:
    """Give the body of a request as a file in a temporary folder, which is removed afterwards.

    Args:
        request: whose body is the file, as it is.
        name: that the file had; only its ending counts, where that is one of audio.
        limits: how large it may be.
    Raises:
        HTTPException: 413 too large, 400 empty.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.file_bytes:
        raise HTTPException(413, f"the file is larger than {limits.file_bytes // 2**20} MB")
    suffix = PurePosixPath(shown_name(name)).suffix
    suffix = next((known for known in AUDIO_SUFFIXES if suffix in (known, known.upper())), ".wav")
    with tempfile.TemporaryDirectory(prefix="kws-studio-") as folder:
        path, size = Path(folder, f"upload{suffix}"), 0
        with path.open("wb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > limits.file_bytes:
                    raise HTTPException(413, f"the file is larger than {limits.file_bytes // 2**20} MB")
                file.write(piece)
        if not size:
            raise HTTPException(400, "the file is empty")
        yield path


def shown_name(name: str) -> str:
    """Return the last part of a file's name as it may be shown, without folders and control characters."""
    last = PureWindowsPath(PurePosixPath(name.replace("\0", "")).name).name
    kept = "".join(letter for letter in normalize(last) if letter.isprintable()).strip(". ")
    return kept if len(kept) <= LONGEST_ORIGIN else f"…{kept[-LONGEST_ORIGIN + 1 :]}"


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that holds a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
