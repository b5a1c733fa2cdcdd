"""The stand-in's web server, which keeps a Hub and can be made to fail."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.endpoints import Endpoints, as_json
from tests.hub.repository import Refused, Storage

_PIECE: Final = 1 << 16


@dataclass(slots=True)
class Fault:
    """What goes wrong with some requests.

    Attributes:
        where: A regular expression over ``METHOD /path``.
        status: The answer; 0 where the connection is lost instead, amid the body.
        times: How often; negative for always.
        headers: Of the answer.
    """

    where: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class HubStandIn:
    """A Hub on the loopback, in threads of this process.

    Attributes:
        storage: What it keeps.
        tokens: Each token with the user it belongs to, and whether it may write.
        roles: What the Hub says of a token, where it is not ``write`` or ``read``.
        faults: What goes wrong; tests put in what they want.
        requests: Every request so far, as ``METHOD /path``.
        on_object: Called with the number of each stored object, before its answer goes out.
    """

    def __init__(self) -> None:
        self.storage = Storage()
        self.tokens: dict[str, tuple[str, bool]] = {
            "hf_writer": ("user", True),
            "hf_reader": ("user", False),
            "hf_other": ("somebody", True),
        }
        self.roles: dict[str, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.on_object: Callable[[int], None] = lambda _number: None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fault(self, request: str) -> Fault | None:
        """Take the fault that concerns a request, if there is one."""
        for fault in self.faults:
            if fault.times and re.search(fault.where, request):
                fault.times -= 1
                return fault
        return None

    def start(self) -> None:
        self._thread.start()

    def stop_answering(self) -> None:
        """From now on nobody is there."""
        self._server.shutdown()
        self._server.server_close()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serve_hub() -> Iterator[HubStandIn]:
    """Serve a Hub as long as the context lasts."""
    hub = HubStandIn()
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: HubStandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(Endpoints):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Head and body in one packet: in two, the second waits for the first to be acknowledged.
    wbufsize = 1 << 20
    server: _Server  # type: ignore[assignment]

    def log_message(self, *_arguments: object) -> None:
        """Tests look at ``requests``."""

    # ----------------------------------------------------------------------------- requests

    def _answer(self) -> None:
        hub = self.server.hub
        address = urlsplit(self.path)
        self.route = unquote(address.path)
        self.query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        request = f"{self.command} {self.route}"
        hub.requests.append(request)
        fault = hub.fault(request)
        if fault and not fault.status:
            if int(self.headers.get("Content-Length", 0)):
                self.rfile.read1(1)
            self.close_connection = True
            return
        try:
            body = self._read_body()
            if fault:
                answer = as_json({"error": f"made to fail ({fault.status})"}, fault.status)
                answer[1].update(fault.headers)
            else:
                answer = self.dispatch(body)
        except Refused as refused:
            answer = as_json({"error": refused.message}, refused.status)
            answer[1]["X-Error-Message"] = refused.message
            if refused.code:
                answer[1]["X-Error-Code"] = refused.code
        self._send(*answer)

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815 - the base class asks for them

    def _read_body(self) -> bytes:
        pieces = list(self._pieces())
        return b"".join(pieces)

    def _pieces(self) -> Iterator[bytes]:
        storage = self.server.hub.storage
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read1(min(left, _PIECE))
            if not piece:
                raise ConnectionError("the client went away")
            left -= len(piece)
            if self.command == "PUT":
                with storage.lock:
                    storage.received += len(piece)
            yield piece

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
