"""Publish a dataset folder: send the files of its manifest to a repository of the Hub.

Large files are sent one by one and appear with a commit. Up to a hundred files appear with one
commit. If there are more, shards come first, and card and manifest last, so that the card never
lists missing shards. Files that the repository already has are recognised by their digests, so a
second run, or a run after an interruption, sends only the missing files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import OutputError, PublicationFailed, VerificationFailed, counted
from bioscan5m_hf.sources.manifest import SHARD_PATH
from conversion.card.presentation import present
from conversion.card.readme import CARD_NAME
from conversion.progress import BYTES, Reached, Watcher
from conversion.sizes import readable_size
from conversion.upload.comparison import (
    Comparison,
    compare,
    files_to_publish,
    require_room,
    some_of,
)
from conversion.upload.hub import (
    MAIN,
    Commit,
    HubRepository,
    LocalFile,
    RemoteFile,
    retry_while_unreachable,
)
from conversion.upload.hub_digests import HubDigests

SHARDS_MESSAGE: Final = "Add shards of BIOSCAN-5M"
"""The message of a commit of shards that no card names yet."""

_MESSAGE: Final = "Publish BIOSCAN-5M"
# The Hub recommends this limit; larger commits may exceed its timeout.
_MOST_FILES: Final = 100


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """The options of a publication.

    Attributes:
        folder: The dataset folder.
        repository: The name of the repository, as ``user/name``.
        private: Whether the repository must be private.
        revision: The branch.
        create_pr: Whether to open a pull request instead of writing to the branch, which must then
            be the main branch.
        foreign: What happens to foreign files, which this program did not put into the repository,
            and to shards of configurations and splits that the folder does not have. ``"refuse"``
            stops if the repository has such shards, or has foreign files and no manifest; foreign
            files beside a manifest stay. ``"keep"`` keeps all of them; ``"delete"`` deletes all of
            them.
    """

    folder: Path
    repository: str
    private: bool = False
    revision: str = MAIN
    create_pr: bool = False
    foreign: str = "refuse"


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a publication.

    Attributes:
        url: The page of the repository or of the pull request.
        files: How many files of the folder the repository has.
        sent: How many of them this run sent.
        removed: Paths of files that were removed.
        kept: Paths of files that stayed, although this program did not put them there.
    """

    url: str
    files: int
    sent: int
    removed: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One commit of a publication.

    Attributes:
        files: The files that it adds.
        removed: Paths of the files that it removes.
        message: Its message, one line.
    """

    files: tuple[LocalFile, ...]
    removed: tuple[str, ...]
    message: str


def steps(found: Comparison) -> list[Step]:
    """Divide a publication into commits; the last one makes everything visible.

    New shards are not visible before that, because the card lists only one division into shards.
    If a few shards replace shards of the same name, they come in one commit with the card. If there
    are many, the card is removed before the first of them. Other files come last, because only the
    manifest shows that they belong to this program.
    """
    if len(found.missing) <= _MOST_FILES:
        return [Step(found.missing, found.stale, _MESSAGE)]
    withdrawn: tuple[str, ...] = ()
    last = [f for f in found.missing if f.path in found.replaced or not _is_shard(f)]
    if len(last) > _MOST_FILES:
        withdrawn = (CARD_NAME,) if CARD_NAME in found.replaced else ()
        last = [file for file in last if not _is_shard(file)]
    late = {file.path for file in last}
    first = [file for file in found.missing if file.path not in late]
    made = [
        Step(tuple(first[start : start + _MOST_FILES]), (), SHARDS_MESSAGE)
        for start in range(0, len(first), _MOST_FILES)
    ]
    made[:1] = [replace(step, removed=withdrawn) for step in made[:1]]
    # Removing files takes the Hub no time, so one commit may remove any number of them.
    return [*made, Step(tuple(last), found.stale, _MESSAGE)]


def _is_shard(file: LocalFile) -> bool:
    return SHARD_PATH.fullmatch(file.path) is not None


def plan_publication(options: PublishOptions) -> Comparison:
    """Find what ``publish`` would do, without changing anything.

    Raises:
        BioscanError: See ``publish``.
    """
    _, files = files_to_publish(options.folder)
    repository = HubRepository(options.repository, options.revision)
    return compare(repository, files, HubDigests(options.folder), options.foreign)


def publish(options: PublishOptions, watcher: Watcher) -> Published:
    """Publish a dataset folder.

    Raises:
        ForeignFolder: The folder is not a finished dataset folder.
        VerificationFailed: The folder differs from the manifest, or the repository does afterwards.
        PublicationFailed: The Hub refuses, or does not answer.
    """
    manifest, files = files_to_publish(options.folder)
    repository = HubRepository(options.repository, options.revision)
    user = repository.sign_in(request=options.create_pr)
    covered = {(name, split) for name, splits in manifest.splits.items() for split in splits}
    require_room(repository, covered, options.foreign)
    watcher.say(f"publishing {options.folder} as {user}")
    repository.prepare(private=options.private)
    if manifest.name != repository.name:
        with watcher.progress(f"writing the card for {repository.name}"):
            present(options.folder, repository.name, watcher.say)
        _, files = files_to_publish(options.folder)
    return _until_equal(options, repository, files, watcher)


def _until_equal(
    options: PublishOptions, repository: HubRepository, files: list[LocalFile], watcher: Watcher
) -> Published:
    digests = HubDigests(options.folder)
    sent: set[str] = set()
    commits: set[str] = set()
    seen = 0

    def progressed() -> bool:
        nonlocal seen
        before, seen = seen, len(commits)
        return seen > before

    def attempt() -> Published:
        with watcher.progress("comparing with the repository"):
            found = compare(repository, files, digests, options.foreign)
        if found.commit is None:
            raise PublicationFailed("the repository was not made", where=repository.url)
        commits.add(found.commit)
        sent.update(file.path for file in found.missing)
        if found.is_equal:
            return Published(repository.url, len(files), len(sent), (), found.foreign)
        made = _send(repository, found, digests, watcher, request=options.create_pr)
        prove_remote(repository, repository.files(made.oid), files, digests)
        return Published(made.url, len(files), len(sent), found.stale, found.foreign)

    if options.create_pr:
        # Another attempt would open another pull request.
        return attempt()
    return retry_while_unreachable(attempt, progressed)


def _send(
    repository: HubRepository,
    found: Comparison,
    digests: HubDigests,
    watcher: Watcher,
    *,
    request: bool,
) -> Commit:
    assert found.commit is not None
    todo = steps(found)
    made = Commit(found.commit, repository.url, repository.revision)
    place, done, number = repository, 0, 0
    with watcher.progress("sending", found.bytes, BYTES) as reached:
        for step in todo:
            opening = request and place is repository
            operations = []
            for file in step.files:
                sha256 = prove_local(file, digests)
                sent = partial(_reached_after, reached, done)
                operations.append(place.store(file, sha256, request=opening, sent=sent))
                done, number = done + file.bytes, number + 1
                reached(done)
                watcher.say(
                    f"{file.path}: {number:,} of {counted(len(found.missing), 'file')}, "
                    f"{readable_size(done)} of {readable_size(found.bytes)}"
                )
            shown = made.url
            made = place.commit(operations, step.removed, step.message, made.oid, request=opening)
            if place is not repository:
                made = replace(made, url=shown)
            elif opening and step is not todo[-1]:
                # The rest goes into the same pull request.
                place = HubRepository(repository.name, made.revision)
                watcher.say(
                    f"{made.url}: opened; if this is interrupted, go on with --revision "
                    f"{made.revision}"
                )
    return made


def _reached_after(reached: Reached, before: int, count: int) -> None:
    reached(before + count)


def prove_local(file: LocalFile, digests: HubDigests) -> str:
    """Check that a file has the bytes that the manifest names, before it is sent.

    Returns:
        Its SHA-256, in hex.

    Raises:
        VerificationFailed: It has other bytes.
        OutputError: It cannot be read.
    """
    try:
        found, sha256 = digests.take(file.source)
    except OSError as error:
        raise OutputError(f"cannot be read ({error.strerror})", where=str(file.source)) from error
    if found != file.written:
        raise VerificationFailed(
            "its bytes differ from the manifest, so it was not published",
            where=str(file.source),
            fix="run the same convert command again, which makes it again",
        )
    return sha256


def prove_remote(
    repository: HubRepository,
    remote: Mapping[str, RemoteFile],
    files: Iterable[LocalFile],
    digests: HubDigests,
) -> None:
    """Check that a repository has the bytes of files after they were sent.

    Raises:
        VerificationFailed: It has other bytes, or no such file.
    """
    wrong = [file.path for file in files if not file.is_same(remote.get(file.path), digests)]
    if wrong:
        raise VerificationFailed(
            f"the repository has different bytes than were sent for "
            f"{counted(len(wrong), 'file')}: {some_of(wrong)}",
            where=repository.url,
            fix="run the same command again",
        )
