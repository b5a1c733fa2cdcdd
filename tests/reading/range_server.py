"""A real HTTP server that serves ranges of bytes and counts what it sends."""

from __future__ import annotations

import http.server
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Traffic:
    """What was asked for."""

    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path and number of bytes that were sent, of each request."""

    def sent(self, suffix: str = "") -> int:
        return sum(size for _, path, size in self.requests if path.endswith(suffix))

    def count(self, suffix: str = "", method: str = "GET") -> int:
        return sum(m == method and path.endswith(suffix) for m, path, _ in self.requests)

    def forget(self) -> None:
        self.requests.clear()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        time.sleep(self.server.delay)
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        target = self.server.root / path.lstrip("/")
        if target.is_dir() and path.endswith("/") and self.server.lists:
            entries = sorted(e.name + "/" * e.is_dir() for e in target.iterdir())
            page = "".join(f'<a href="{urllib.parse.quote(e)}">{e}</a>' for e in ["../", *entries])
            self._send(200, page.encode(), {"Content-Type": "text/html"}, path, send=send)
            return
        if not target.is_file():
            self._send(404, b"no such file", {}, path, send=send)
            return
        size = target.stat().st_size
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{size}-{target.stat().st_mtime_ns}"'}
        start, stop, status = 0, size, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self._range())
        # No byte of an empty file can be asked for, so all of it is sent.
        if self.server.ranges and size and match:
            start, stop, status = int(match[1]), min(int(match[2]) + 1, size), 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        with target.open("rb") as file:
            file.seek(start)
            body = file.read(stop - start)
        if self.server.failures and send:
            self.server.failures.pop()
            self._send(503, b"busy", {}, path, send=send)
            return
        self._send(status, body, headers, path, send=send)

    def _range(self) -> str:
        return self.headers.get("Range") or ""

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], path: str, *, send: bool
    ) -> None:
        # Before the answer, or whoever has it would count too few requests, and this one later.
        with self.server.lock:
            entry = (self.command, path, len(body) if send else 0)
            self.server.traffic.requests.append(entry)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if send:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, root: Path, *, lists: bool, ranges: bool, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.lists = lists
        self.ranges = ranges
        self.delay = delay
        self.traffic = Traffic()
        self.failures: list[int] = []
        self.lock = threading.Lock()


@dataclass
class Served:
    """A folder that is served."""

    url: str
    traffic: Traffic
    failures: list[int]
    """The next answers to GET are refusals, as many as there are entries."""


@contextmanager
def serve(
    root: Path, *, lists: bool = False, ranges: bool = True, delay: float = 0.0
) -> Iterator[Served]:
    """Serve a folder.

    Args:
        root: The folder.
        lists: Whether there are pages about folders.
        ranges: Whether parts of files are served.
        delay: How many seconds each answer takes to come.
    """
    server = _Server(root, lists=lists, ranges=ranges, delay=delay)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Served(
            f"http://127.0.0.1:{server.server_address[1]}", server.traffic, server.failures
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
