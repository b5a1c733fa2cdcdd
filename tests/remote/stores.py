"""Real servers that take files: S3 as objects, FTP with renaming."""

from __future__ import annotations

import functools
import http.client
import os
import select
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUCKET = "bucket"
KEYS = {
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True, slots=True)
class S3:
    """An S3 server in a process of its own."""

    port: int

    def environment(self, port: int | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, **KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}"}

    def client(self) -> Any:
        return _client(self.port)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix, read with the store's own client."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        names = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return {
            name.removeprefix(f"{prefix}/"): client.get_object(Bucket=BUCKET, Key=name)[
                "Body"
            ].read()
            for name in names
        }


@functools.cache
def _client(port: int) -> Any:
    """The store's own client, which takes a while to be made."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="someone",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )


@contextmanager
def serve_s3() -> Iterator[S3]:
    port = _free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until = time.monotonic() + 60
            while not _answers(port):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            server = S3(port)
            server.client().create_bucket(Bucket=BUCKET)
            yield server
        finally:
            process.kill()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


@dataclass
class Stalling:
    """Stands before a server, and lets one upload come to half and no further."""

    port: int
    stalled: threading.Event = field(default_factory=threading.Event)


@contextmanager
def stall(port: int, *, after: int) -> Iterator[Stalling]:
    """Forward to a port; the upload of the shard with that number never ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Stalling(int(listener.getsockname()[1]))
    ended = threading.Event()
    seen: set[bytes] = set()

    def forward(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            while not ended.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.05)
                for one, other in ((client, server), (server, client)):
                    if one not in ready:
                        continue
                    data = one.recv(1 << 14)
                    if not data:
                        return
                    line = data.partition(b"\r\n")[0]
                    if one is client and line.startswith(b"PUT") and b".parquet HTTP" in line:
                        seen.add(line)
                        if len(seen) == after:
                            other.sendall(data[: len(data) // 2])
                            found.stalled.set()
                            ended.wait(120)
                            return
                    other.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=forward, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@dataclass
class Ftp:
    """An FTP server in threads of this process."""

    url: str
    root: Path
    handler: Any

    def slow_down(self, rate: int) -> None:
        """Take no more than so many bytes a second; 0 for all that come."""
        self.handler.dtp_handler.read_limit = rate


@contextmanager
def serve_ftp(root: Path) -> Iterator[Ftp]:
    with warnings.catch_warnings():
        # Before Python 3.12 it takes asyncore from the standard library.
        warnings.simplefilter("ignore", DeprecationWarning)
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler
        from pyftpdlib.servers import FTPServer

    authorizer = DummyAuthorizer()
    authorizer.add_user("user", "word", str(root), perm="elradfmwMT")
    authorizer.add_user("reader", "word", str(root), perm="elr")

    class Throttled(ThrottledDTPHandler):  # type: ignore[misc]
        read_limit = 0

    class Handler(FTPHandler):  # type: ignore[misc]
        dtp_handler = Throttled

    Handler.authorizer = authorizer
    server = FTPServer(("127.0.0.1", 0), Handler)
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            server.serve_forever(timeout=0.05, blocking=False, handle_exit=False)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        port = server.socket.getsockname()[1]
        yield Ftp(f"ftp://user:word@127.0.0.1:{port}", root, Handler)
    finally:
        ended.set()
        thread.join()
        server.close_all()
