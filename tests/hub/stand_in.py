"""The stand-in's web server: the endpoints that ``huggingface_hub`` and ``datasets`` ask."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.hub.repository import Blob, Refused, Repository, Storage, git_oid

_PAGE: Final = 7
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
        tokens: Each token with the user it belongs to, and whether that user may write.
        faults: What goes wrong; tests put in what they want.
        requests: Every request so far, as ``METHOD /path``.
        on_object: Called with the number of each stored object, before its answer goes out.
    """

    def __init__(self) -> None:
        self.storage = Storage()
        self.tokens: dict[str, tuple[str, bool]] = {
            "hf_writer": ("user", True),
            "hf_reader": ("user", False),
        }
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


Answer = tuple[int, dict[str, str], bytes]


def _json(data: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(data).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two, the second waits for the first to be acknowledged.
    wbufsize = 1 << 20
    server: _Server

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
                answer = _json({"error": f"made to fail ({fault.status})"}, fault.status)
                answer[1].update(fault.headers)
            else:
                answer = self._dispatch(body)
        except Refused as refused:
            answer = _json({"error": refused.message}, refused.status)
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

    # ------------------------------------------------------------------------------- access

    def _user(self) -> tuple[str, bool] | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            return None
        try:
            return self.server.hub.tokens[given]
        except KeyError:
            raise Refused(401, "Invalid credentials in Authorization header") from None

    def _need_write(self, name: str) -> None:
        user = self._user()
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if not user[1] or name.partition("/")[0] != user[0]:
            raise Refused(403, "You don't have the rights to write here")

    def _repository(self, name: str) -> Repository:
        repository = self.server.hub.storage.repository(name)
        if repository.private and self._user() is None:
            raise Refused(401, "Repository not found", "RepoNotFound")
        return repository

    # ------------------------------------------------------------------------------- routes

    _ROUTES: ClassVar[list[tuple[str, str]]] = [
        (r"GET /api/whoami-v2", "_whoami"),
        (r"POST /api/repos/create", "_create"),
        (r"POST /api/validate-yaml", "_validate_yaml"),
        (r"POST /api/datasets/([^/]+/[^/]+)/preupload/(.+)", "_preupload"),
        (r"POST /datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "_batch"),
        (r"PUT /objects/([0-9a-f]{64})", "_object"),
        (r"POST /api/datasets/([^/]+/[^/]+)/commit/(.+)", "_commit"),
        (r"POST /api/datasets/([^/]+/[^/]+)/branch/(.+)", "_branch"),
        (r"POST /api/datasets/([^/]+/[^/]+)/paths-info/(.+)", "_paths_info"),
        (r"GET /api/datasets/([^/]+/[^/]+)/tree/(refs/pr/\d+|[^/]+)(?:/(.*))?", "_tree"),
        (r"GET /api/datasets/([^/]+/[^/]+)/revision/(.+)", "_info"),
        (r"GET /api/datasets/([^/]+/[^/]+)", "_info"),
        (r"(?:GET|HEAD) /datasets/([^/]+/[^/]+)/resolve/(refs/pr/\d+|[^/]+)/(.+)", "_resolve"),
    ]

    def _dispatch(self, body: bytes) -> Answer:
        self.body = body
        for pattern, method in self._ROUTES:
            if match := re.fullmatch(pattern, f"{self.command} {self.route}"):
                with self.server.hub.storage.lock:
                    answer: Answer = getattr(self, method)(*match.groups())
                if method == "_object":
                    self.server.hub.on_object(len(self.server.hub.storage.objects))
                return answer
        raise Refused(404, f"no such endpoint: {self.command} {self.route}", "RepoNotFound")

    def _whoami(self) -> Answer:
        user = self._user()
        if user is None:
            raise Refused(401, "Invalid username or password.")
        return _json({"type": "user", "name": user[0], "auth": {"type": "access_token"}})

    def _create(self) -> Answer:
        asked = json.loads(self.body)
        user = self._user()
        name = f"{asked['organization'] or (user or ('?', False))[0]}/{asked['name']}"
        self._need_write(name)
        storage = self.server.hub.storage
        url = f"{self.server.hub.endpoint}/datasets/{name}"
        if name in storage.repositories:
            return _json({"error": "You already created this dataset repo", "url": url}, 409)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        storage.repositories[name] = Repository(name, private)
        return _json({"url": url, "name": name})

    def _validate_yaml(self) -> Answer:
        content = json.loads(self.body)["content"]
        try:
            header = yaml.safe_load(content.split("---\n")[1])
        except (IndexError, yaml.YAMLError) as error:
            return _json({"errors": [{"message": str(error)}], "warnings": []}, 400)
        if not isinstance(header, dict):
            return _json({"errors": [{"message": "no mapping"}], "warnings": []}, 400)
        return _json({"errors": [], "warnings": []})

    def _preupload(self, name: str, revision: str) -> Answer:
        self._need_write(name)
        tree = self._repository(name).tree(revision)
        files = []
        for asked in json.loads(self.body)["files"]:
            path = asked["path"]
            mode = self.server.hub.storage.upload_mode(path, asked["size"])
            told = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            if path in tree:
                told["oid"] = tree[path].sha256 or tree[path].oid
            files.append(told)
        return _json({"files": files})

    def _batch(self, name: str) -> Answer:
        self._need_write(name)
        self._repository(name)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            told: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.server.hub.storage.objects:
                href = f"{self.server.hub.endpoint}/objects/{asked['oid']}"
                told["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(told)
        return _json({"transfer": "basic", "objects": objects})

    def _object(self, sha256: str) -> Answer:
        if hashlib.sha256(self.body).hexdigest() != sha256:
            raise Refused(400, "the digest of the object is another")
        self.server.hub.storage.objects[sha256] = self.body
        return 200, {"ETag": f'"{sha256}"'}, b""

    def _commit(self, name: str, revision: str) -> Answer:
        self._need_write(name)
        repository = self._repository(name)
        tree = dict(repository.tree(revision))
        summary = ""
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            match item["key"]:
                case "header":
                    summary = value["summary"]
                    parent = value.get("parentCommit")
                    if parent and parent != repository.commit_of(revision):
                        raise Refused(412, "A commit has happened since. Please refresh.")
                case "file":
                    tree[value["path"]] = Blob.of(base64.b64decode(value["content"]))
                case "lfsFile":
                    if value["oid"] not in self.server.hub.storage.objects:
                        raise Refused(
                            400, f"LFS pointer points to a file that is not there: {value}"
                        )
                    tree[value["path"]] = Blob.pointer(value["oid"], value["size"])
                case "deletedFile":
                    if tree.pop(value["path"], None) is None:
                        raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
                case other:
                    raise Refused(400, f"unknown operation {other}")
        asked = self.query.get("create_pr") == "1"
        commit, reference = repository.commit(revision, tree, summary, request=asked)
        base = f"{self.server.hub.endpoint}/datasets/{name}"
        number = reference.rpartition("/")[2]
        told = {
            "success": True,
            "commitOid": commit,
            "commitUrl": f"{base}/commit/{commit}",
            "hookOutput": "",
            "pullRequestUrl": f"{base}/discussions/{number}" if asked else None,
        }
        return _json(told)

    def _branch(self, name: str, branch: str) -> Answer:
        self._need_write(name)
        repository = self._repository(name)
        if branch in repository.refs:
            return _json({"error": "Reference already exists"}, 409)
        repository.refs[branch] = repository.refs["main"]
        return _json({})

    def _info(self, name: str, revision: str = "main") -> Answer:
        repository = self._repository(name)
        commit = repository.commit_of(revision)
        files = sorted(repository.commits[commit])
        told = {
            "_id": git_oid(name.encode())[:24],
            "id": name,
            "sha": commit,
            "private": repository.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": "2024-06-18T00:00:00.000Z",
            "siblings": [{"rfilename": path} for path in files],
        }
        return _json(told)

    def _tree(self, name: str, revision: str, path: str | None) -> Answer:
        repository = self._repository(name)
        commit = repository.commit_of(revision)
        prefix = f"{path}/" if path else ""
        tree = repository.commits[commit]
        below = {found: blob for found, blob in tree.items() if found.startswith(prefix)}
        if prefix and not below:
            raise Refused(404, f"{path} does not exist on {revision}", "EntryNotFound")
        folders = {
            prefix + "/".join(parts[:depth])
            for parts in (found[len(prefix) :].split("/") for found in below)
            for depth in range(1, len(parts))
        }
        entries: list[dict[str, Any]]
        entries = [{"type": "directory", "path": f, "size": 0, "oid": "0" * 40} for f in folders]
        entries += [blob.as_entry(found) for found, blob in below.items()]
        if self.query.get("recursive", "").lower() not in ("true", "1"):
            entries = [e for e in entries if "/" not in e["path"][len(prefix) :]]
        entries.sort(key=lambda entry: entry["path"])
        start = int(self.query.get("cursor", 0))
        page = entries[start : start + _PAGE]
        answer = _json(page, X_Repo_Commit=commit)
        if start + _PAGE < len(entries):
            rest = "&".join(f"{k}={v}" for k, v in self.query.items() if k != "cursor")
            there = urlsplit(self.path).path
            following = f"{self.server.hub.endpoint}{there}?{rest}&cursor={start + _PAGE}"
            answer[1]["Link"] = f'<{following}>; rel="next"'
        return answer

    def _paths_info(self, name: str, revision: str) -> Answer:
        tree = self._repository(name).tree(revision)
        if self.headers.get("Content-Type", "").startswith("application/json"):
            paths = json.loads(self.body)["paths"]
        else:
            paths = parse_qs(self.body.decode())["paths"]
        entries = [tree[path].as_entry(path) for path in paths if path in tree]
        entries += [
            {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}
            for path in paths
            if path not in tree and any(found.startswith(f"{path}/") for found in tree)
        ]
        return _json(entries)

    def _resolve(self, name: str, revision: str, path: str) -> Answer:
        repository = self._repository(name)
        commit = repository.commit_of(revision)
        blob = repository.commits[commit].get(path)
        if blob is None:
            raise Refused(404, "Entry not found", "EntryNotFound")
        data = self.server.hub.storage.data_of(blob)
        tag = blob.sha256 or blob.oid
        headers = {"X-Repo-Commit": commit, "ETag": f'"{tag}"', "Accept-Ranges": "bytes"}
        if blob.sha256:
            headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(blob.size)}
        status = 200
        if match := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            start = int(match[1]) if match[1] else len(data) - int(match[2])
            stop = min(int(match[2]) + 1, len(data)) if match[1] and match[2] else len(data)
            if start >= len(data):
                return 416, headers | {"Content-Range": f"bytes */{len(data)}"}, b""
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            data = data[start:stop]
        headers["Content-Length"] = str(len(data))
        if self.command == "GET":
            self.server.hub.storage.sent += len(data)
        return status, headers, data
