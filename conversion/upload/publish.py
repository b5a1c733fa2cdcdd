"""Publish a dataset folder: a repository of the Hub gets the files of the manifest, all at once.

Large files are sent one by one and appear with a single commit, together with the card; shards
of an earlier division disappear in the same commit. What the repository has already is known by
its digest, so a second run, or one after an interruption, sends only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import (
    ForeignFolder,
    ForeignRepository,
    HubUnreachable,
    OutputError,
    PublicationFailed,
    UsageError,
    VerificationFailed,
    counted,
)
from bioscan5m_hf.sources.manifest import MANIFEST_BYTES, MANIFEST_NAME, SHARD_PATH
from bioscan5m_hf.storage.inside import length_of_own
from conversion.card.presentation import present
from conversion.files.atomic import Written, digest_of
from conversion.folder.loss import Pairs, beyond, told_shards
from conversion.folder.manifest import Manifest, read_manifest
from conversion.sizes import readable_size
from conversion.upload.hub import MAIN, Commit, HubRepository, LocalFile, RemoteFile
from conversion.upload.hub_digests import HubDigests

_ATTEMPTS: Final = 3
_SHOWN: Final = 3
_MESSAGE: Final = "Publish BIOSCAN-5M"
# The Hub makes it with every repository; it says which files are large.
_ATTRIBUTES: Final = ".gitattributes"

Say = Callable[[str], None]
"""Told what the user should know, one line at a time."""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What to publish, and where.

    Attributes:
        folder: The dataset folder.
        repository: The name of the repository, as ``user/name``.
        private: Whether others may not see it.
        revision: The branch.
        create_pr: Open a pull request instead of writing to the branch.
        foreign: What becomes of files that this program did not put there, and of shards of what
            the folder does not have: ``"refuse"`` leaves alone a repository of somebody else's or
            one with such shards, and keeps other files in one of its own, ``"keep"`` keeps them
            all and ``"delete"`` deletes them anywhere.
    """

    folder: Path
    repository: str
    private: bool = False
    revision: str = MAIN
    create_pr: bool = False
    foreign: str = "refuse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a repository differs from a dataset folder.

    Attributes:
        commit: The commit that was compared; ``None`` where there is no repository yet.
        missing: The files to send, the large ones first.
        stale: Paths of files to remove.
        foreign: Paths of files that stay, though this program did not put them there.
    """

    commit: str | None
    missing: tuple[LocalFile, ...]
    stale: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing needs to be done."""
        return not self.missing and not self.stale

    @property
    def bytes(self) -> int:
        """How much is to be sent at most."""
        return sum(file.bytes for file in self.missing)


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing.

    Attributes:
        url: Where it is shown.
        files: How many files the repository has of the folder.
        sent: How many of them were put there by this run.
        removed: Paths of files that were removed.
        kept: Paths of files that stayed, though this program did not put them there.
    """

    url: str
    files: int
    sent: int
    removed: tuple[str, ...]
    kept: tuple[str, ...]


def files_to_publish(folder: Path) -> tuple[Manifest, list[LocalFile]]:
    """The files of a dataset folder, as its manifest tells them.

    Only lengths are looked at: the digest of a file is proved before it is sent. A file may be
    missing here if the repository has it, as after a rolling publication.

    Args:
        folder: The dataset folder.

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
            f"the manifest has another length for {counted(len(wrong), 'file')}: {_some(wrong)}",
            where=str(folder),
            fix="run the same convert command again, which makes them anew",
        )
    files = [LocalFile(f.path, folder / f.path, Written(f.bytes, f.xxh3)) for f in listed]
    own = folder / MANIFEST_NAME
    files.append(LocalFile(MANIFEST_NAME, own, digest_of(own)))
    return manifest, files


def _length(folder: Path, path: str) -> int | None:
    """The length of a file that lies in the folder itself; none where there is no such file."""
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
        digests: Those of the files that were taken before.
        foreign: See ``PublishOptions.foreign``.

    Raises:
        ForeignRepository: It holds something else, and shall be left alone.
        VerificationFailed: A file is neither here nor there.
    """
    wanted = {file.path: file for file in files}
    commit = repository.head()
    remote = repository.files(commit) if commit else {}
    missing = [file for path, file in wanted.items() if not file.is_same(remote.get(path), digests)]
    if lost := [file.path for file in missing if not file.source.exists()]:
        raise VerificationFailed(
            f"here and in the repository {counted(len(lost), 'file')} missing: {_some(lost)}",
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
    return Comparison(commit, tuple(missing), tuple(stale), tuple(kept))


def require_room(repository: HubRepository, covered: Pairs, foreign: str = "refuse") -> None:
    """See that a repository may be published to, before there is anything to publish.

    Args:
        repository: The repository; it need not be there.
        covered: The configurations and published splits that the folder will have.
        foreign: See ``PublishOptions.foreign``.

    Raises:
        ForeignRepository: It holds something else, and shall be left alone.
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
            f"the repository holds files that this program did not put there: {_some(strange)}",
            where=repository.url,
            fix="choose another repository, or say --keep-foreign or --delete-foreign",
        )


def _beyond(paths: Iterable[str], remote: dict[str, RemoteFile], covered: Pairs) -> dict[str, int]:
    return beyond({path: remote[path].bytes for path in paths}, covered)


def _refuse_loss(repository: HubRepository, spared: dict[str, int], foreign: str) -> None:
    if spared and foreign == "refuse":
        raise ForeignRepository(
            f"the repository has what this folder does not have: {told_shards(spared)}",
            where=repository.url,
            fix="choose another repository, convert into the folder that has both, or say "
            "bioscan5m publish --keep-foreign (to leave them there) or --delete-foreign",
        )


def _put_there(
    repository: HubRepository, commit: str | None, remote: dict[str, RemoteFile]
) -> Callable[[str], bool]:
    """Which files an earlier run put there: its shards by their names, others by its manifest."""
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


def plan_publication(options: PublishOptions) -> Comparison:
    """Say what ``publish`` would do, without doing any of it.

    Args:
        options: What to publish, and where.

    Raises:
        BioscanError: See ``publish``.
    """
    _, files = files_to_publish(options.folder)
    repository = HubRepository(options.repository, options.revision)
    return compare(repository, files, HubDigests(options.folder), options.foreign)


def publish(options: PublishOptions, say: Say) -> Published:
    """Publish a dataset folder.

    Args:
        options: What to publish, and where.
        say: Told how it goes.

    Raises:
        ForeignFolder: The folder is no finished dataset folder.
        VerificationFailed: The folder, or in the end the repository, differs from the manifest.
        PublicationFailed: The Hub refuses, or does not answer.
        UsageError: The options contradict each other.
    """
    if options.create_pr and options.revision != MAIN:
        raise UsageError("a pull request is always opened against the main branch")
    manifest, files = files_to_publish(options.folder)
    repository = HubRepository(options.repository, options.revision)
    user = repository.sign_in()
    covered = {(name, split) for name, splits in manifest.splits.items() for split in splits}
    require_room(repository, covered, options.foreign)
    say(f"publishing {options.folder} as {user}")
    repository.prepare(private=options.private)
    if manifest.name != repository.name:
        say(f"writing the card for {repository.name}")
        present(options.folder, repository.name, say)
        _, files = files_to_publish(options.folder)
    digests = HubDigests(options.folder)
    for attempt in range(1, _ATTEMPTS + 1):
        found = compare(repository, files, digests, options.foreign)
        if found.is_equal or found.commit is None:
            break
        try:
            made = _send(repository, found, digests, say, request=options.create_pr)
        except HubUnreachable:
            # A commit whose answer was lost may have happened: the repository is asked again.
            if attempt == _ATTEMPTS or options.create_pr:
                raise
            time.sleep(attempt)
            continue
        _prove(repository, made.oid, files, digests)
        return Published(made.url, len(files), len(found.missing), found.stale, found.foreign)
    if found.commit is None:
        raise PublicationFailed("the repository was not made", where=repository.url)
    return Published(repository.url, len(files), 0, (), found.foreign)


def _send(
    repository: HubRepository, found: Comparison, digests: HubDigests, say: Say, *, request: bool
) -> Commit:
    operations = []
    done = 0
    for number, file in enumerate(found.missing, 1):
        sha256 = prove_local(file, digests)
        operations.append(repository.store(file, sha256, request=request))
        done += file.bytes
        say(
            f"{file.path}: {number:,} of {len(found.missing):,} files, "
            f"{readable_size(done)} of {readable_size(found.bytes)}"
        )
    assert found.commit is not None
    return repository.commit(operations, found.stale, _MESSAGE, found.commit, request=request)


def prove_local(file: LocalFile, digests: HubDigests) -> str:
    """See that a file has the bytes that the manifest tells, before it is sent.

    Args:
        file: The file.
        digests: Where its SHA-256 is remembered.

    Returns:
        Its SHA-256, in hex.

    Raises:
        VerificationFailed: It has others.
        OutputError: It cannot be read.
    """
    try:
        found, sha256 = digests.take(file.source)
    except OSError as error:
        raise OutputError(f"cannot be read ({error.strerror})", where=str(file.source)) from error
    if found != file.written:
        raise VerificationFailed(
            "its bytes are not those of the manifest; nothing of it was published",
            where=str(file.source),
            fix="run the same convert command again, which makes it anew",
        )
    return sha256


def _prove(
    repository: HubRepository, commit: str, files: Iterable[LocalFile], digests: HubDigests
) -> None:
    remote = repository.files(commit)
    wrong = [file.path for file in files if not file.is_same(remote.get(file.path), digests)]
    if wrong:
        raise VerificationFailed(
            f"the repository has other bytes than the manifest says for "
            f"{counted(len(wrong), 'file')}: {_some(wrong)}",
            where=repository.url,
            fix="run the same command again",
        )


def _some(paths: list[str]) -> str:
    shown = ", ".join(sorted(paths)[:_SHOWN])
    return shown + (", …" if len(paths) > _SHOWN else "")
