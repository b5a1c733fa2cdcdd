"""Query the Hub for the files of a repository, with length and SHA-256.

The library ``huggingface_hub`` lists the repository, builds the URLs and reads the user's token.
This program fetches the bytes itself, because the library (2.4) discards a partial file when a
download is interrupted, and an archive has up to 40 GB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import httpx2

from bioscan5m_hf.errors import DownloadFailed, ReleaseNotFound
from bioscan5m_hf.schema.upstream import PublishedFile
from conversion.download.partial import Expected
from conversion.download.transfer import RemoteFile


def find_on_hub(repository: str, wanted: Sequence[PublishedFile]) -> list[RemoteFile]:
    """Find files in a dataset repository by their names, in any folder.

    Returns:
        The files in the same order, pinned to the current commit.

    Raises:
        DownloadFailed: The request to the Hub fails.
        ReleaseNotFound: The repository lacks a file.
    """
    from huggingface_hub import HfApi, get_token, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        info = api.dataset_info(repository, files_metadata=True)
    except (HfHubHTTPError, httpx2.HTTPError) as error:
        raise DownloadFailed(
            f"the Hub cannot list its files ({_first_line(error)})",
            where=f"{api.endpoint}/datasets/{repository}",
            fix="try again later, or choose another mirror with --from",
        ) from error
    held = {entry.rfilename.rpartition("/")[2]: entry for entry in info.siblings or ()}
    if missing := [file.name for file in wanted if file.name not in held]:
        raise ReleaseNotFound(
            f"there is no {', '.join(missing)}",
            where=f"{api.endpoint}/datasets/{repository}",
            fix=f"archives there: {_listed(held)}; try another mirror with --from",
        )
    token = get_token()
    headers = (("Authorization", f"Bearer {token}"),) if token else ()
    return [
        RemoteFile(
            file.name,
            hf_hub_url(
                repository,
                held[file.name].rfilename,
                repo_type="dataset",
                revision=info.sha,
                endpoint=api.endpoint,
            ),
            _expected(file, held[file.name].size, held[file.name].lfs),
            headers,
        )
        for file in wanted
    ]


def _expected(file: PublishedFile, size: int | None, lfs: dict[str, object] | None) -> Expected:
    if size is None:
        raise DownloadFailed("the Hub does not report the length of the file", where=file.name)
    # If the length is upstream's, the file is compared with the digest that upstream published.
    if file.md5 and size == file.bytes:
        return Expected(size, "md5", file.md5)
    if lfs:
        return Expected(size, "sha256", str(lfs["sha256"]))
    return Expected(size)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name in names if name.endswith(".zip"))) or "none"
