"""Compare a dataset folder with the repository that it is published to.

The manifest lists the files of the folder, and digests show which of them the repository already
has. Files that this program did not put into the repository are left alone, unless the user
requests otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import (
    ForeignFolder,
    ForeignRepository,
    VerificationFailed,
    counted,
)
from bioscan5m_hf.sources.manifest import MANIFEST_BYTES, MANIFEST_NAME, SHARD_PATH
from bioscan5m_hf.storage.inside import length_of_own
from conversion.files.atomic import Written, digest_of
from conversion.folder.loss import Pairs, beyond, describe_shards
from conversion.folder.manifest import Manifest, read_manifest
from conversion.upload.hub import HubRepository, LocalFile, RemoteFile
from conversion.upload.hub_digests import HubDigests

_SHOWN: Final = 3
# The Hub puts this file into every repository; it lists the patterns of large files.
_ATTRIBUTES: Final = ".gitattributes"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between a repository and a dataset folder.

    Attributes:
        commit: The commit that was compared; ``None`` if there is no repository yet.
        missing: The files to send; files in subfolders come before those at the top.
        stale: Paths of files to remove.
        foreign: Paths of files that stay, although this program did not put them there.
        replaced: Paths of files to send that replace a file with other bytes.
    """

    commit: str | None
    missing: tuple[LocalFile, ...]
    stale: tuple[str, ...]
    foreign: tuple[str, ...]
    replaced: frozenset[str] = frozenset()

    @property
    def is_equal(self) -> bool:
        """Whether nothing needs to be done."""
        return not self.missing and not self.stale

    @property
    def bytes(self) -> int:
        """The number of bytes to send, at most."""
        return sum(file.bytes for file in self.missing)


def files_to_publish(folder: Path) -> tuple[Manifest, list[LocalFile]]:
    """List the files of a dataset folder by its manifest.

    Only lengths are checked here; the digest of a file is verified before it is sent. A file may be
    missing here if the repository has it, for example after a rolling publication.

    Raises:
        ForeignFolder: There is no manifest, it cannot be read, or a file lies outside the folder.
        VerificationFailed: A file has another length.
    """
    manifest = read_manifest(folder)
    listed = [*manifest.files(), *manifest.extras.values()]
    sizes = {path: _length(folder, path) for path in (MANIFEST_NAME, *(f.path for f in listed))}
    wrong = [f.path for f in listed if sizes[f.path] not in (None, f.bytes)]
    if wrong:
        raise VerificationFailed(
            f"the manifest has a different length for {counted(len(wrong), 'file')}: "
            f"{some_of(wrong)}",
            where=str(folder),
            fix="run the same convert command again, which makes them again",
        )
    files = [LocalFile(f.path, folder / f.path, Written(f.bytes, f.xxh3)) for f in listed]
    own = folder / MANIFEST_NAME
    files.append(LocalFile(MANIFEST_NAME, own, digest_of(own)))
    return manifest, files


def _length(folder: Path, path: str) -> int | None:
    """The length of a file that lies in the folder itself; ``None`` if there is no such file."""
    try:
        return length_of_own(folder, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ForeignFolder(
            f"cannot be published ({error.strerror})",
            where=str(folder / path),
            fix="put the file itself there: only what lies in the folder is published",
        ) from error


def compare(
    repository: HubRepository,
    files: Iterable[LocalFile],
    digests: HubDigests,
    foreign: str = "refuse",
) -> Comparison:
    """Compare a repository with the files that it should have.

    Args:
        repository: The repository.
        files: The files.
        digests: The known SHA-256 of the files.
        foreign: See ``PublishOptions.foreign``.

    Raises:
        ForeignRepository: It has other files, and ``foreign`` forbids to change it.
        VerificationFailed: A file is missing both in the folder and in the repository.
    """
    wanted = {file.path: file for file in files}
    commit = repository.head()
    remote = repository.files(commit) if commit else {}
    missing = [file for path, file in wanted.items() if not file.is_same(remote.get(path), digests)]
    if lost := [file.path for file in missing if not file.source.exists()]:
        raise VerificationFailed(
            f"{counted(len(lost), 'file')} missing both here and in the repository: "
            f"{some_of(lost)}",
            where=repository.url,
            fix="convert again",
        )
    covered = {
        (match["configuration"], match["split"])
        for path in wanted
        if (match := SHARD_PATH.fullmatch(path))
    }
    others = [path for path in remote if path not in wanted and path != _ATTRIBUTES]
    written_over = [file.path for file in missing if file.path in remote]
    ours = _put_there(repository, commit, remote)
    strange = [path for path in (*others, *written_over) if not ours(path)]
    _refuse_strangers(repository, remote, strange, foreign)
    spared = _beyond(others, remote, covered)
    _refuse_loss(repository, spared, foreign)
    stale = [path for path in others if foreign == "delete" or (ours(path) and path not in spared)]
    kept = [path for path in others if path not in stale]
    missing.sort(key=lambda file: ("/" not in file.path, file.path))
    return Comparison(commit, tuple(missing), tuple(stale), tuple(kept), frozenset(written_over))


def require_room(repository: HubRepository, covered: Pairs, foreign: str = "refuse") -> None:
    """Check that a repository may be published to, before there is anything to publish.

    Args:
        repository: The repository; it need not exist.
        covered: The configurations and published splits that the folder will have.
        foreign: See ``PublishOptions.foreign``.

    Raises:
        ForeignRepository: It has other files, and ``foreign`` forbids to change it.
    """
    if commit := repository.head():
        remote = repository.files(commit)
        ours = _put_there(repository, commit, remote)
        strange = [path for path in remote if path != _ATTRIBUTES and not ours(path)]
        _refuse_strangers(repository, remote, strange, foreign)
        _refuse_loss(repository, _beyond(remote, remote, covered), foreign)


def _refuse_strangers(
    repository: HubRepository, remote: dict[str, RemoteFile], strange: list[str], foreign: str
) -> None:
    if strange and foreign == "refuse" and MANIFEST_NAME not in remote:
        raise ForeignRepository(
            f"the repository holds files that this program did not put there: {some_of(strange)}",
            where=repository.url,
            fix="choose another repository, or use --keep-foreign or --delete-foreign",
        )


def _beyond(paths: Iterable[str], remote: dict[str, RemoteFile], covered: Pairs) -> dict[str, int]:
    return beyond({path: remote[path].bytes for path in paths}, covered)


def _refuse_loss(repository: HubRepository, spared: dict[str, int], foreign: str) -> None:
    if spared and foreign == "refuse":
        raise ForeignRepository(
            f"the repository has shards that this folder does not have: {describe_shards(spared)}",
            where=repository.url,
            fix="choose another repository, convert into the folder that has both, or use "
            "bioscan5m publish --keep-foreign (to leave them there) or --delete-foreign",
        )


def _put_there(
    repository: HubRepository, commit: str | None, remote: dict[str, RemoteFile]
) -> Callable[[str], bool]:
    """Return a test for files of earlier runs: shards by their names, others by the manifest."""
    listed: set[str] = set()
    if commit and MANIFEST_NAME in remote and remote[MANIFEST_NAME].bytes <= MANIFEST_BYTES:
        text = repository.read(MANIFEST_NAME, commit) or b""
        try:
            before = Manifest.from_json(text)
        except ValueError:
            pass
        else:
            listed = {MANIFEST_NAME, *before.extras, *(file.path for file in before.files())}
    return lambda path: path in listed or bool(SHARD_PATH.fullmatch(path))


def some_of(paths: list[str]) -> str:
    """The first of some paths, for a message."""
    shown = ", ".join(sorted(paths)[:_SHOWN])
    return shown + (", …" if len(paths) > _SHOWN else "")
