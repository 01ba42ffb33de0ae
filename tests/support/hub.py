"""A server on this machine alone, in place of the publishers of files that are fetched."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """What a local server has, and how it behaves."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path -> content."""
    cut_after: int | None = None
    """Bytes after which an answer ends, as a connection that breaks."""
    ranges: bool = True
    """It goes on from a place when it is asked to."""
    etag: str | None = None
    """What it calls the content of each file; it goes on only with that."""
    told: bool = True
    """It says how long an answer is."""
    moved: dict[str, str] = field(default_factory=dict)
    """Path -> address that it points to."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of each request."""

    def sha256(self, path: str) -> str:
        """Return the checksum of a file."""
        return hashlib.sha256(self.files[path]).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """Give a hub that serves on this machine alone."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            hub.asked.append((self.path, asked))
            if self.path in hub.moved:
                self.send_response(302)
                self.send_header("Location", hub.moved[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = hub.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            same = self.headers.get("If-Range", hub.etag) == hub.etag
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.ranges and same else 0
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if hub.etag is not None:
                self.send_header("ETag", hub.etag)
            if hub.told:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : None if hub.cut_after is None else start + hub.cut_after])

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
