"""What the stand-in keeps: repositories of commits, and the large objects they point at."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Final

# What the .gitattributes of a new dataset repository has among others.
LARGE: Final = ("*.parquet", "*.arrow", "*.tar", "*.png", "*.jpg")
_LARGE_BYTES: Final = 10 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """One file of a commit: its bytes, or the digest of a large object."""

    size: int
    oid: str
    data: bytes | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, data: bytes) -> Blob:
        return cls(len(data), git_oid(data), data=data)

    @classmethod
    def pointer(cls, sha256: str, size: int) -> Blob:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return cls(size, git_oid(text.encode()), sha256=sha256)

    def as_entry(self, path: str) -> dict[str, Any]:
        """As the tree and paths-info endpoints tell it."""
        entry: dict[str, Any] = {
            "type": "file",
            "path": path,
            "size": self.size,
            "oid": self.oid,
        }
        if self.sha256:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 130}
        return entry


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


Tree = dict[str, Blob]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(slots=True)
class Repository:
    """One dataset repository."""

    name: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Tree] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        attributes = "".join(f"{pattern} filter=lfs\n" for pattern in LARGE)
        self.refs["main"] = self._add({".gitattributes": Blob.of(attributes.encode())}, "initial")

    def commit_of(self, revision: str) -> str:
        name = revision.removeprefix("refs/heads/")
        commit = self.refs.get(name, name)
        if commit not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def tree(self, revision: str = "main") -> Tree:
        return self.commits[self.commit_of(revision)]

    def _add(self, tree: Tree, summary: str) -> str:
        text = json.dumps([self.name, len(self.commits), summary, sorted(tree)])
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = tree
        self.log.append(summary)
        return commit

    def commit(self, revision: str, tree: Tree, summary: str, *, request: bool) -> tuple[str, str]:
        """Add a commit; returns its id and the name of the reference that it is on."""
        commit = self._add(tree, summary)
        number = sum(name.startswith("refs/pr/") for name in self.refs) + 1
        name = f"refs/pr/{number}" if request else revision.removeprefix("refs/heads/")
        self.refs[name] = commit
        return commit, name


class Storage:
    """Every repository and every large object, and how many bytes came and went."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.received = 0
        self.sent = 0

    def repository(self, name: str) -> Repository:
        try:
            return self.repositories[name]
        except KeyError:
            raise Refused(404, "Repository not found", "RepoNotFound") from None

    def data_of(self, blob: Blob) -> bytes:
        return blob.data if blob.data is not None else self.objects[str(blob.sha256)]

    def read(self, name: str, path: str, revision: str = "main") -> bytes:
        """The bytes of one file, for tests to look at."""
        return self.data_of(self.repository(name).tree(revision)[path])

    def upload_mode(self, path: str, size: int) -> str:
        large = any(fnmatch.fnmatch(path, pattern) for pattern in LARGE) or size > _LARGE_BYTES
        return "lfs" if large else "regular"
