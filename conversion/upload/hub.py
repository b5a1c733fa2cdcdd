"""Access one dataset repository of the Hub, and explain its errors.

Nothing here depends on shards or manifests. ``huggingface_hub`` finds the token in its usual
places; it is never read here.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
)
from huggingface_hub.errors import (
    HFValidationError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from bioscan5m_hf.errors import (
    HubUnreachable,
    NotPermitted,
    PublicationFailed,
    UsageError,
)
from bioscan5m_hf.storage.retry import Patience, persist
from conversion.files.atomic import Written
from conversion.upload.hub_digests import HubDigests
from conversion.upload.hub_errors import Explainer, requested_wait
from conversion.upload.permissions import refusal_of
from conversion.upload.sent_bytes import Addition, Sent, reporting_xet_uploads

MAIN: Final = constants.DEFAULT_REVISION
_DATASET: Final = "dataset"
_PATIENCE: Final = Patience(attempts=3, pause=1.0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository.

    Attributes:
        path: Its path in the repository.
        bytes: Its length.
        sha256: The digest of its bytes, in hex, if it is stored as a large file.
        git_oid: Its name in git: the SHA-1 of its header and bytes, or of its pointer.
    """

    path: str
    bytes: int
    sha256: str | None
    git_oid: str


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file to publish.

    Attributes:
        path: Its path in the repository.
        source: Its path on the disk.
        written: Its length and digest.
    """

    path: str
    source: Path
    written: Written

    @property
    def bytes(self) -> int:
        """Its length."""
        return self.written.bytes

    def is_same(self, remote: RemoteFile | None, digests: HubDigests) -> bool:
        """Whether the repository already has these bytes.

        A large file is compared by its SHA-256. A small one, which the Hub keeps in git, is read
        for its git id.
        """
        if remote is None or remote.bytes != self.bytes:
            return False
        if remote.sha256:
            return remote.sha256 == digests.of(self.source, self.written)
        if not self.source.exists():
            return False
        data = self.source.read_bytes()
        return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest() == remote.git_oid  # noqa: S324 - git's name for it


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that was made.

    Attributes:
        oid: Its id.
        url: The page of the repository, or of the pull request that the commit opened.
        revision: The branch of the commit, or its pull request as ``refs/pr/N``.
    """

    oid: str
    url: str
    revision: str


def check_repository_name(name: str) -> str:
    """Check that a name is a valid name of a dataset repository, ``user/name``.

    Raises:
        UsageError: It is not.
    """
    fix = "write it as user/name"
    if name.startswith(("models/", "spaces/", "kernels/", "buckets/")):
        raise UsageError(f"{name!r} is not a dataset repository", fix=fix)
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UsageError(f"{name!r} is no name of a repository", fix=fix) from error
    if name.count("/") != 1:
        raise UsageError(f"{name!r} does not say whose repository it is", fix=fix)
    return name


def retry_while_unreachable(
    attempt: Callable[[], T], progressed: Callable[[], bool] = lambda: False
) -> T:
    """Retry while the Hub cannot be reached.

    Args:
        attempt: The function to call. If it commits, it must first check the repository, because
            an earlier commit may have succeeded although its answer was lost.
        progressed: Returns whether the last attempt got further than all earlier ones.

    Raises:
        HubUnreachable: It failed too often without progress.
    """

    def passing(error: Exception) -> float | None:
        return (requested_wait(error) or 0.0) if isinstance(error, HubUnreachable) else None

    return persist(attempt, passing, _PATIENCE, progressed=progressed)


class HubRepository:
    """One dataset repository at one of its revisions.

    Args:
        name: Its name, as ``user/name``.
        revision: The branch, or ``refs/pr/N``.

    Raises:
        UsageError: The name is not valid.
    """

    def __init__(self, name: str, revision: str = MAIN) -> None:
        self.name = check_repository_name(name)
        self.revision = revision
        self._api = HfApi(library_name="bioscan5m-hf")
        self._explainer = Explainer(self.name, self.url, str(self._api.endpoint), revision)
        # The client's progress bars would disturb the output of the command line.
        if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
            disable_progress_bars()

    @property
    def url(self) -> str:
        """The URL of the repository's page."""
        return f"{self._api.endpoint}/datasets/{self.name}"

    def sign_in(self, *, request: bool = False) -> str:
        """Query the owner of the token, and check that it may write to the repository.

        Args:
            request: Whether only a pull request will be opened.

        Returns:
            The name of the user.

        Raises:
            NotSignedIn: There is no token, or the Hub does not know it.
            NotPermitted: The token may not write to the repository.
            HubUnreachable: The Hub does not answer.
        """

        def ask() -> tuple[dict[str, Any], str]:
            account = self._api.whoami()
            return account, str(account["name"])

        account, user = self._with_retries(ask)
        if refused := refusal_of(account, self.name, request=request):
            raise NotPermitted(
                refused,
                where=self.name,
                fix=f"make a token that may write, at {self._api.endpoint}/settings/tokens, and "
                "set HF_TOKEN",
            )
        if self.head():
            # The Hub accepts this request, which changes nothing, only if the token may write.
            self._with_retries(
                lambda: self._api.preupload_lfs_files(
                    self.name,
                    [CommitOperationAdd("README.md", b"")],
                    repo_type=_DATASET,
                    revision=self.revision,
                    create_pr=request,
                )
            )
        return user

    def prepare(self, *, private: bool) -> None:
        """Make the repository and the branch, if they do not exist.

        Raises:
            NotPermitted: The token does not allow it.
            PublicationFailed: The repository is public, and should be private.
        """
        self._with_retries(
            lambda: self._api.create_repo(
                self.name, repo_type=_DATASET, private=private or None, exist_ok=True
            )
        )
        self.require_private(private=private)
        if self.revision != MAIN and not self.revision.startswith("refs/") and not self.head():
            self._with_retries(
                lambda: self._api.create_branch(
                    self.name, branch=self.revision, repo_type=_DATASET, exist_ok=True
                )
            )

    def require_private(self, *, private: bool) -> None:
        """Check that the repository is private, if it exists and should be private.

        Raises:
            PublicationFailed: It is public.
        """

        def ask() -> bool:
            try:
                return bool(self._api.repo_info(self.name, repo_type=_DATASET).private)
            except RepositoryNotFoundError:
                return True

        if private and not self._with_retries(ask):
            raise PublicationFailed(
                "the repository already exists, and it is public",
                where=self.url,
                fix="make it private in its settings, or leave --private out",
            )

    def head(self) -> str | None:
        """The latest commit of the revision; ``None`` if there is no such repository."""

        def ask() -> str | None:
            try:
                info = self._api.repo_info(self.name, repo_type=_DATASET, revision=self.revision)
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return None
            return info.sha

        return self._with_retries(ask)

    def files(self, commit: str) -> dict[str, RemoteFile]:
        """Every file of a commit, by its path."""

        def ask() -> dict[str, RemoteFile]:
            entries = self._api.list_repo_tree(
                self.name, repo_type=_DATASET, revision=commit, recursive=True
            )
            return {
                entry.path: RemoteFile(
                    entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id
                )
                for entry in entries
                if isinstance(entry, RepoFile)
            }

        return self._with_retries(ask)

    def read(self, path: str, commit: str) -> bytes | None:
        """The bytes of a small file; ``None`` if there is no such file."""

        def ask() -> bytes | None:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = self._api.hf_hub_download(
                        self.name, path, repo_type=_DATASET, revision=commit, local_dir=folder
                    )
                except RemoteEntryNotFoundError:
                    return None
                return Path(found).read_bytes()

        return self._with_retries(ask)

    def store(
        self,
        file: LocalFile,
        sha256: str,
        *,
        request: bool = False,
        sent: Sent = lambda _: None,
    ) -> CommitOperationAdd:
        """Send the bytes of a large file, unless the Hub has them; a commit makes it appear.

        Args:
            file: The file.
            sha256: Its digest, in hex; it is not checked.
            request: Whether the commit will open a pull request.
            sent: Called with the number of bytes sent so far.

        Returns:
            The operation to pass to ``commit``.
        """
        with self._explainer.explained(), reporting_xet_uploads(sent):
            operation = Addition(file.path, file.source, sent)
            # Without the digest, the client would read the file again.
            operation.upload_info.sha256 = bytes.fromhex(sha256)
            self._api.preupload_lfs_files(
                self.name,
                [operation],
                repo_type=_DATASET,
                revision=self.revision,
                create_pr=request,
                num_threads=1,
            )
            return operation

    def commit(
        self,
        additions: Sequence[CommitOperationAdd],
        deletions: Sequence[str],
        message: str,
        parent: str,
        *,
        request: bool = False,
    ) -> Commit:
        """Add and remove files in one commit.

        Args:
            additions: The operations that ``store`` returned.
            deletions: Paths of the files to remove.
            message: The message of the commit, one line.
            parent: The latest commit that the caller knows; a later commit is an error.
            request: Whether to open a pull request instead of writing to the revision.

        Raises:
            HubUnreachable: The Hub did not answer; the commit may or may not have succeeded.
        """
        with self._explainer.explained():
            made = self._api.create_commit(
                self.name,
                [*(CommitOperationDelete(path) for path in deletions), *additions],
                commit_message=message,
                repo_type=_DATASET,
                revision=self.revision,
                create_pr=request,
                parent_commit=parent,
            )
        return Commit(made.oid, made.pr_url or self.url, made.pr_revision or self.revision)

    def _with_retries(self, ask: Callable[[], T]) -> T:
        """Retry while the Hub is busy; only for requests that may be sent twice."""

        def attempt() -> T:
            with self._explainer.explained():
                return ask()

        return retry_while_unreachable(attempt)
