"""A web server that serves bytes, and misbehaves as told."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

REPOSITORY = "bioscan-ml/BIOSCAN-5M"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Request:
    """One request that came."""

    path: str
    range: str | None
    authorization: str | None


@dataclass
class Site:
    """What is served, and how."""

    files: dict[str, bytes] = field(default_factory=dict)
    # One for each of the next answers about files; an answer is normal when none is left.
    faults: list[Callable[[Handler, bytes], bool]] = field(default_factory=list)
    ranges: bool = True
    etag: str | None = None
    heeds_if_range: bool = True
    claimed: dict[str, int] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            self._api()
            return
        with self.site.lock:
            self.site.requests.append(
                Request(self.path, self.headers.get("Range"), self.headers.get("Authorization"))
            )
            fault = self.site.faults.pop(0) if self.site.faults else None
        name = self.path.rpartition("/")[2]
        data = self.site.files.get(name)
        if data is None:
            self.answer(404)
        elif fault is None or not fault(self, data):
            self.serve(data, name)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def serve(self, data: bytes, name: str = "", keep: int | None = None) -> None:
        """Serve from the byte that is asked for; ``keep`` bytes of it, and then cut."""
        size = self.site.claimed.get(name, len(data))
        start, asked = 0, self.headers.get("Range")
        stale = self.headers.get("If-Range") not in (None, self.site.etag)
        stale = stale and self.site.heeds_if_range
        headers = {"ETag": self.site.etag} if self.site.etag else {}
        partly = bool(asked) and self.site.ranges and not stale
        if partly:
            assert asked
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first)
            data = data[: int(last) + 1] if last else data
            if start >= size:
                self.answer(416, headers={"Content-Range": f"bytes */{size}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{size}"
        body = data[start:]
        length = len(body) if partly else size
        self.send_response(206 if partly else 200)
        for key, value in (headers | {"Content-Length": str(length)}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body if keep is None else body[:keep])
        self.wfile.flush()
        if keep is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _api(self) -> None:
        if f"/datasets/{REPOSITORY}" not in self.path:
            self.answer(404)
            return
        siblings = [
            {
                "rfilename": f"images/{name}",
                "size": len(data),
                "lfs": {
                    "size": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "pointerSize": 130,
                },
            }
            for name, data in self.site.files.items()
        ]
        body = json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode()
        self.answer(200, body, {"Content-Type": "application/json"})


def cut_after(count: int) -> Callable[[Handler, bytes], bool]:
    """Cut the connection after so many bytes."""

    def fault(handler: Handler, data: bytes) -> bool:
        handler.serve(data, keep=count)
        return True

    return fault


def refuse(status: int, **headers: str) -> Callable[[Handler, bytes], bool]:
    """Answer with a status."""

    def fault(handler: Handler, _data: bytes) -> bool:
        handler.answer(status, b"no", {k.replace("_", "-"): v for k, v in headers.items()})
        return True

    return fault


def later(seconds: float) -> str:
    """A date for Retry-After."""
    return formatdate(time.time() + seconds, usegmt=True)


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what the tests are about."""


class Server:
    """The server of a site, on a free port of this machine."""

    def __init__(self, site: Site | None = None) -> None:
        self.site = site or Site()
        handler = type("SiteHandler", (Handler,), {"site": self.site})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
