"""A server that is busy, breaks off, redirects, lies or echoes what it was told."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bioscan5m_hf import get, labels, load_dataset
from bioscan5m_hf.builder import Bioscan5M
from bioscan5m_hf.errors import ArchiveError, ReleaseNotFound
from bioscan5m_hf.storage import http as reader
from bioscan5m_hf.storage.http import HttpFile, read_page
from bioscan5m_hf.storage.http_listing import linked_files
from bioscan5m_hf.storage.open import exists, open_location
from bioscan5m_hf.storage.path import RemotePath
from bioscan5m_hf.storage.retry import Patience

DATA = bytes(range(256)) * 40
GIVEN = (("headers", {"Authorization": "Bearer sesame", "Cookie": "a=b", "X-Key": "k"}),)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET
    hook: Callable[[Handler], bool] | None = None

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        super().__init__((host, 0), Handler)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_port}"


class Server6(Server):
    address_family = socket.AF_INET6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        if self.server.hook and self.server.hook(self):
            return
        start, stop = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
        first, last = int(start), min(int(stop or len(DATA)), len(DATA) - 1)
        span = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"}
        self.answer(206, DATA[first : last + 1], **span)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> bool:
        self.send_response(status, headers.pop("reason", None))
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        return True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(reader, "_PATIENCE", Patience(pause=0.001, longest=1.0))
    with serving(Server()) as made:
        yield made


def times(count: int, fault: Callable[[Handler], bool]) -> Callable[[Handler], bool]:
    left = [fault] * count
    return lambda handler: bool(left) and left.pop()(handler)


def reset(handler: Handler) -> bool:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def short(handler: Handler) -> bool:
    handler.close_connection = True
    return handler.answer(206, b"x", Content_Range=f"bytes 0-9/{len(DATA)}", Content_Length="10")


@pytest.mark.parametrize(
    "fault",
    [
        lambda h: h.answer(503),
        lambda h: h.answer(429, Retry_After="0"),
        lambda h: h.answer(500),
        reset,
        short,
        lambda h: h.answer(206, DATA[7:507], Content_Range=f"bytes 7-506/{len(DATA)}"),
        lambda h: h.answer(206, b"xy", Content_Range=f"bytes 100-101/{len(DATA)}"),
    ],
)
def test_what_passes_is_asked_again_from_the_first_request_on(
    server: Server, fault: Callable[[Handler], bool]
) -> None:
    server.hook = times(2, fault)
    with open_location(f"{server.url}/a.zip") as file:
        server.hook = times(2, fault)
        assert file.size == len(DATA)
        assert file.read_at(100, 500) == DATA[100:600]
        assert file.read_at(len(DATA) - 3, 500) == DATA[-3:]


@pytest.mark.parametrize("told", ["bytes 0-0/*", "bytes 0-0", "pages 1-2/3"])
def test_a_server_that_tells_no_length_is_told_as_such(server: Server, told: str) -> None:
    server.hook = lambda handler: handler.answer(206, b"x", Content_Range=told)
    with pytest.raises(ArchiveError, match="does not report the length"):
        HttpFile(RemotePath(f"{server.url}/a.zip"))


def test_a_server_that_stays_busy_is_told_as_such(server: Server) -> None:
    server.hook = lambda handler: handler.answer(503)
    with pytest.raises(ArchiveError, match="503 Service Unavailable"):
        HttpFile(RemotePath(f"{server.url}/a.zip"))
    assert len(server.seen) == 4


def test_what_is_given_goes_to_no_other_server(server: Server) -> None:
    with serving(Server()) as other:
        server.hook = lambda handler: handler.answer(302, Location=f"{other.url}/b")
        with HttpFile(RemotePath(f"{server.url}/a", GIVEN)) as file:
            assert file.read_at(5, 5) == DATA[5:10]
        assert len(other.seen) == 2
        for _, headers in other.seen:
            assert not {"Authorization", "Cookie", "X-Key"} & set(headers)
        for _, headers in server.seen:
            assert headers["Authorization"] == "Bearer sesame"


def test_what_is_given_stays_on_the_same_server(server: Server) -> None:
    server.hook = times(1, lambda handler: handler.answer(307, Location="/b"))
    HttpFile(RemotePath(f"{server.url}/a", GIVEN))
    assert [(path, h["Authorization"], h["Cookie"]) for path, h in server.seen] == [
        ("/a", "Bearer sesame", "a=b"),
        ("/b", "Bearer sesame", "a=b"),
    ]


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.hook = lambda handler: handler.answer(302, Location="/a")
    with pytest.raises(ArchiveError, match="circle"):
        HttpFile(RemotePath(f"{server.url}/a"))


def test_an_echoed_token_is_not_shown(server: Server) -> None:
    server.hook = lambda handler: handler.answer(
        403, handler.headers["Authorization"].encode(), reason=handler.headers["Authorization"]
    )
    with pytest.raises(ArchiveError) as caught:
        HttpFile(RemotePath(f"{server.url}/a", GIVEN))
    assert "sesame" not in str(caught.value)
    assert "403 Forbidden" in str(caught.value)


TAGGED = {"ETag": '"a"', "Last-Modified": "Sat, 28 Nov 2026 14:00:00 GMT"}


@pytest.mark.parametrize(
    ("before", "now", "length", "is_another"),
    [
        ({}, {}, len(DATA), False),
        ({}, {}, len(DATA) + 1, True),
        ({"ETag": '"a"'}, {"ETag": '"a"'}, len(DATA), False),
        ({"ETag": '"a"'}, {"ETag": '"b"'}, len(DATA), True),
        ({"ETag": '"a"'}, {}, len(DATA), False),
        # Two servers behind one address, each with a tag of its own.
        (TAGGED, TAGGED | {"ETag": '"b"'}, len(DATA), False),
        (TAGGED, {"ETag": '"b"', "Last-Modified": "later"}, len(DATA), True),
    ],
)
def test_parts_of_two_files_are_not_joined(
    server: Server, before: dict[str, str], now: dict[str, str], length: int, is_another: bool
) -> None:
    def told(tags: dict[str, str], total: int) -> Callable[[Handler], bool]:
        return lambda h: h.answer(206, DATA[:1], **{"Content-Range": f"bytes 0-0/{total}"}, **tags)

    server.hook = told(before, len(DATA))
    file = HttpFile(RemotePath(f"{server.url}/a"))
    server.hook = told(now, length)
    if is_another:
        with pytest.raises(ArchiveError, match="has changed since it was opened"):
            file.read_at(0, 1)
    else:
        assert file.read_at(0, 1) == DATA[:1]


def test_there_or_not(server: Server) -> None:
    assert exists(RemotePath(f"{server.url}/a"))
    for status in (403, 404, 410):
        server.hook = lambda handler, status=status: handler.answer(status)
        assert not exists(RemotePath(f"{server.url}/a"))
    server.hook = lambda handler: handler.answer(401)
    with pytest.raises(ArchiveError, match="401"):
        exists(RemotePath(f"{server.url}/a"))


def test_an_empty_file(server: Server) -> None:
    server.hook = lambda handler: handler.answer(416, Content_Range="bytes */0")
    with HttpFile(RemotePath(f"{server.url}/a")) as file:
        assert file.size == 0
        assert file.read_at(0, 10) == b""


def test_an_endless_answer_is_read_no_further_than_asked(server: Server) -> None:
    def endless(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Connection", "close")
        handler.close_connection = True
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            return True

    server.hook = endless
    assert read_page(RemotePath(f"{server.url}/"), 100_000) == "x" * 100_000


def test_a_listing_uses_what_is_given_and_stays_below(server: Server) -> None:
    page = (
        '<a href="../">up</a> <a href="a%20%23b.zip">a</a> <a href="a%20%23b.zip">again</a>'
        '<a href="/folder/K%C3%A4fer.csv?x=1#y">c</a> <a href="%2e%2e%2fsecret">d</a>'
        '<a href="http://elsewhere/folder/e">e</a> <a href="sub/">f</a> <a href="x/y">g</a>'
    )

    def lists(handler: Handler) -> bool:
        body = page if handler.path == "/folder/" else '<a href="deep.zip">x</a>'
        return handler.answer(200, body.encode(), Content_Type="text/html; charset=utf-8")

    server.hook = lists
    root = RemotePath(f"{server.url}/folder", GIVEN)
    found = [file.relative_to(root) for file in linked_files(root, 3)]
    assert found == ["a #b.zip", "Käfer.csv", "sub/deep.zip"]
    assert all(headers["Authorization"] == "Bearer sesame" for _, headers in server.seen)


@pytest.mark.parametrize(
    "read",
    [
        lambda **named: load_dataset("bioscan-5m", streaming=True, **named),
        lambda **named: labels("bioscan-5m", "order", **named),
        lambda **named: get("bioscan-5m", "GMGMB061-20", **named),
        lambda **named: Bioscan5M(data_dir="bioscan-5m", **named),
    ],
)
def test_the_token_of_the_hub_is_for_the_hub_wherever_a_name_leads(
    read: Callable[..., object], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIOSCAN5M_PATH", f"{server.url}/folder")
    monkeypatch.setenv("HF_TOKEN", "hf_fromtheenvironment")
    server.hook = lambda handler: handler.answer(404)
    with pytest.raises(ReleaseNotFound):
        read(token="hf_secretsecret", cache_dir=tmp_path / "cache")
    assert server.seen
    assert not [headers for _, headers in server.seen if "hf_" in str(headers)]


def test_a_loopback_of_the_newer_protocol() -> None:
    try:
        made = Server6("::1")
    except OSError:
        pytest.skip("there is no IPv6 here")
    with serving(made), HttpFile(RemotePath(f"{made.url}/a")) as file:
        assert file.read_at(0, 4) == DATA[:4]
