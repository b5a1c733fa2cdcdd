"""Pin a Hub repository to one commit, or find its snapshot in the cache if the Hub is unreachable.

A commit never changes. So what was read from it stays valid, and a push while a dataset is being
read cannot mix two revisions.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from bioscan5m_hf.errors import ArchiveError, OutOfReach, ReleaseNotFound
from bioscan5m_hf.storage.fsspec import is_unreachable, with_retries
from bioscan5m_hf.storage.path import Location, RemotePath

_log: Final = logging.getLogger("bioscan5m_hf")
_DATASET: Final = re.compile(
    r"hf://datasets/(?P<name>[^/@]+/[^/@]+)(?:@(?P<revision>refs/[^/]+/[^/]+|[^/]+))?(?P<below>/.*)?"
)
_TIMEOUT: Final = 10.0
_UNAUTHORIZED: Final = 401


def is_repository(location: Location) -> bool:
    """Whether a location lies in a dataset repository of the Hub."""
    return isinstance(location, RemotePath) and _DATASET.fullmatch(location.url) is not None


def pinned(location: RemotePath) -> Location:
    """Pin a location to one commit of its repository.

    Returns:
        The location in the commit to which the revision points now. In offline mode
        (``HF_HUB_OFFLINE``, ``HF_DATASETS_OFFLINE``) or if the Hub does not answer, the local
        folder of the snapshot in the Hub's cache.

    Raises:
        ReleaseNotFound: There is no such repository or revision, or the user may not read it.
        OutOfReach: Offline mode is on or the Hub does not answer, and the cache has no snapshot.
        ArchiveError: The Hub gives another answer.
    """
    name, revision, below = _parts(location)
    if _is_offline():
        return _snapshot(location, "offline mode is on (HF_HUB_OFFLINE or HF_DATASETS_OFFLINE)")
    try:
        commit = with_retries(
            location, "cannot be opened", ArchiveError, lambda: _commit_of(location, name, revision)
        )
    except ArchiveError as error:
        if not is_unreachable(error):
            raise
        found = _snapshot(location, error.found)
        _log.warning("%s: the Hub cannot be reached; read from its cache: %s", location, found)
        return found
    url = f"hf://datasets/{name}@{commit}{below}"
    return RemotePath(url, location.options, asked=location.url)


def _parts(location: RemotePath) -> tuple[str, str | None, str]:
    match = _DATASET.fullmatch(location.url)
    assert match is not None, "a location in a dataset repository"
    revision = match["revision"]
    return match["name"], revision and unquote(revision), (match["below"] or "").rstrip("/")


def _is_offline() -> bool:
    from datasets import config

    return bool(config.HF_HUB_OFFLINE)


def _commit_of(location: RemotePath, name: str, revision: str | None) -> str:
    """The commit to which a revision points now."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    options: dict[str, Any] = dict(location.options)
    api = HfApi(endpoint=options.get("endpoint"), token=options.get("token"))
    try:
        commit = api.dataset_info(name, revision=revision, timeout=_TIMEOUT, expand=["sha"]).sha
    except RevisionNotFoundError as error:
        raise ReleaseNotFound(
            f"the repository has no revision {revision!r}",
            where=str(location),
            fix="check the name of the branch, tag or commit",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ReleaseNotFound(
            "there is no such repository, or it is private",
            where=str(location),
            fix="check the name; for a private repository give token=, or run: hf auth login",
        ) from error
    except HfHubHTTPError as error:
        if error.response.status_code != _UNAUTHORIZED:
            raise
        raise ReleaseNotFound(
            "the Hub does not accept the token",
            where=str(location),
            fix="give another token=, or run: hf auth login",
        ) from error
    if commit is None:
        raise ReleaseNotFound("the Hub reports no commit of the repository", where=str(location))
    return commit


def _snapshot(location: RemotePath, why: str) -> Path:
    """The local folder of a revision's snapshot in the Hub's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    name, revision, below = _parts(location)
    try:
        found = snapshot_download(
            name, repo_type="dataset", revision=revision, local_files_only=True
        )
    except IncompleteSnapshotError as error:
        found = error.snapshot_path
        _log.warning("%s: the Hub's cache has some of its files, not all", location)
    except (LocalEntryNotFoundError, FileNotFoundError, ValueError) as error:
        raise OutOfReach(
            f"{why}, and the Hub's cache has no snapshot of it",
            where=str(location),
            fix=f"with a network, run: hf download {quote(name)} --repo-type dataset",
        ) from error
    return Path(found + below)
