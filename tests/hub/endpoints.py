"""The endpoints of the Hub that ``huggingface_hub`` and ``datasets`` ask."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.hub.repository import Blob, Refused, Repository, Storage, git_oid

_PAGE: Final = 7


class Hub(Protocol):
    """What the endpoints know of the stand-in."""

    storage: Storage
    tokens: dict[str, tuple[str, bool]]
    roles: dict[str, dict[str, Any]]
    on_object: Callable[[int], None]

    @property
    def endpoint(self) -> str: ...


class HubServer(Protocol):
    hub: Hub


Answer = tuple[int, dict[str, str], bytes]


def as_json(data: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(data).encode()


class Endpoints(BaseHTTPRequestHandler):
    """Answers one request at a time, out of what the stand-in keeps."""

    server: HubServer  # type: ignore[assignment]
    route: str
    query: dict[str, str]
    body: bytes

    # ------------------------------------------------------------------------------- access

    def _user(self) -> tuple[str, bool] | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            return None
        try:
            return self.server.hub.tokens[given]
        except KeyError:
            raise Refused(401, "Invalid credentials in Authorization header") from None

    def _owns(self, name: str) -> bool:
        user = self._user()
        return user is not None and name.partition("/")[0] == user[0]

    def _need_write(self, name: str, *, request: bool = False) -> None:
        """A pull request may be opened, and written to, by anybody who may write anything."""
        user = self._user()
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if not user[1] or not (request or self._owns(name)):
            raise Refused(403, "You don't have the rights to write here")

    def _is_request(self, revision: str) -> bool:
        return self.query.get("create_pr") == "1" or revision.startswith("refs/pr/")

    def _repository(self, name: str) -> Repository:
        repository = self.server.hub.storage.repository(name)
        if repository.private and self._user() is None:
            raise Refused(401, "Repository not found", "RepoNotFound")
        if repository.private and not self._owns(name):
            raise Refused(404, "Repository not found", "RepoNotFound")
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

    def dispatch(self, body: bytes) -> Answer:
        self.body = body
        for pattern, method in self._ROUTES:
            # A slash within the name of a branch comes quoted.
            if match := re.fullmatch(pattern, f"{self.command} {urlsplit(self.path).path}"):
                parts = [part and unquote(part) for part in match.groups()]
                with self.server.hub.storage.lock:
                    answer: Answer = getattr(self, method)(*parts)
                if method == "_object":
                    self.server.hub.on_object(len(self.server.hub.storage.objects))
                return answer
        raise Refused(404, f"no such endpoint: {self.command} {self.route}", "RepoNotFound")

    def _whoami(self) -> Answer:
        user = self._user()
        if user is None:
            raise Refused(401, "Invalid username or password.")
        given = self.headers["Authorization"].removeprefix("Bearer ")
        token = self.server.hub.roles.get(given, {"role": "write" if user[1] else "read"})
        told = {
            "type": "user",
            "name": user[0],
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": {"displayName": "a token"} | token},
        }
        return as_json(told)

    def _create(self) -> Answer:
        asked = json.loads(self.body)
        user = self._user()
        name = f"{asked['organization'] or (user or ('?', False))[0]}/{asked['name']}"
        self._need_write(name)
        storage = self.server.hub.storage
        url = f"{self.server.hub.endpoint}/datasets/{name}"
        if name in storage.repositories:
            return as_json({"error": "You already created this dataset repo", "url": url}, 409)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        storage.repositories[name] = Repository(name, private)
        return as_json({"url": url, "name": name})

    def _validate_yaml(self) -> Answer:
        content = json.loads(self.body)["content"]
        try:
            header = yaml.safe_load(content.split("---\n")[1])
        except (IndexError, yaml.YAMLError) as error:
            return as_json({"errors": [{"message": str(error)}], "warnings": []}, 400)
        if not isinstance(header, dict):
            return as_json({"errors": [{"message": "no mapping"}], "warnings": []}, 400)
        return as_json({"errors": [], "warnings": []})

    def _preupload(self, name: str, revision: str) -> Answer:
        self._need_write(name, request=self._is_request(revision))
        tree = self._repository(name).tree(revision)
        files = []
        for asked in json.loads(self.body)["files"]:
            path = asked["path"]
            mode = self.server.hub.storage.upload_mode(path, asked["size"])
            told = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            if path in tree:
                told["oid"] = tree[path].sha256 or tree[path].oid
            files.append(told)
        return as_json({"files": files})

    def _batch(self, name: str) -> Answer:
        # The batch is asked without a revision for a pull request.
        ref = (json.loads(self.body).get("ref") or {}).get("name", "refs/pr/")
        self._need_write(name, request=ref.startswith("refs/pr/"))
        self._repository(name)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            told: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.server.hub.storage.objects:
                href = f"{self.server.hub.endpoint}/objects/{asked['oid']}"
                told["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(told)
        return as_json({"transfer": "basic", "objects": objects})

    def _object(self, sha256: str) -> Answer:
        if hashlib.sha256(self.body).hexdigest() != sha256:
            raise Refused(400, "the digest of the object is another")
        self.server.hub.storage.objects[sha256] = self.body
        return 200, {"ETag": f'"{sha256}"'}, b""

    def _commit(self, name: str, revision: str) -> Answer:
        self._need_write(name, request=self._is_request(revision))
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
        return as_json(told)

    def _branch(self, name: str, branch: str) -> Answer:
        self._need_write(name)
        repository = self._repository(name)
        if branch in repository.refs:
            return as_json({"error": "Reference already exists"}, 409)
        repository.refs[branch] = repository.refs["main"]
        return as_json({})

    def _info(self, name: str, revision: str = "main") -> Answer:
        repository = self._repository(name)
        commit = repository.commit_of(revision)
        files = sorted(repository.commits[commit])
        told = {
            "_id": git_oid(name.encode())[:24],
            "id": name,
            "sha": commit,
            "private": repository.private,
            "gated": "manual" if repository.gated else False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": "2024-06-18T00:00:00.000Z",
            "siblings": [{"rfilename": path} for path in files],
        }
        return as_json(told)

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
        answer = as_json(page, X_Repo_Commit=commit)
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
        return as_json(entries)

    def _resolve(self, name: str, revision: str, path: str) -> Answer:
        repository = self._repository(name)
        if repository.gated and not self._owns(name):
            raise Refused(403, f"Access to dataset {name} is restricted", "GatedRepo")
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
