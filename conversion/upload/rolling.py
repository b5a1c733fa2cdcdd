"""Publish shards while more shards are made, and remove each from the disk when the Hub has it.

A finished shard is sent, committed in a batch, checked in the repository, and only then removed
from the disk. The card comes with the last commit, which ``publish`` makes; before that, the
repository does not list any shard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from huggingface_hub import CommitOperationAdd

from bioscan5m_hf.errors import ForeignFolder
from bioscan5m_hf.release.remote import locate_release
from conversion.files.atomic import Written
from conversion.folder.manifest import read_manifest
from conversion.pipeline.convert import convert
from conversion.pipeline.inputs import choose, covered_by
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.outcome import Summary
from conversion.progress import Watcher
from conversion.upload.comparison import require_room
from conversion.upload.hub import HubRepository, LocalFile, RemoteFile, retry_while_unreachable
from conversion.upload.hub_digests import HubDigests
from conversion.upload.publish import (
    SHARDS_MESSAGE,
    Published,
    PublishOptions,
    prove_local,
    prove_remote,
    publish,
)
from conversion.upload.scratch import Scratch
from conversion.upload.sender import FinishedShard, Sender

_BATCH_SHARE: Final = 4


class Rolling(Sender):
    """Sends finished shards to a repository, and commits some at a time.

    Args:
        repository: The repository to send them to.
        folder: The dataset folder.
        scratch: How many bytes the folder may take.
        say: Called with messages.
        private: Whether the repository must be private.
    """

    def __init__(
        self,
        repository: HubRepository,
        folder: Path,
        scratch: int,
        say: Callable[[str], None],
        *,
        private: bool,
    ) -> None:
        super().__init__(folder, Scratch(folder, scratch), say, scratch // _BATCH_SHARE)
        self._repository = repository
        self._private = private
        self._digests = HubDigests(folder)
        self._operations: list[CommitOperationAdd] = []
        self._remote: dict[str, RemoteFile] = {}

    def prepare(self) -> None:
        """List the files of the repository, if it exists.

        Raises:
            PublicationFailed: The Hub does not answer.
        """
        if commit := self._repository.head():
            self._remote = self._repository.files(commit)
        self._thread.start()

    def has(self, path: str, written: Written) -> bool:
        """Whether the repository has a shard with these bytes."""
        remote = self._remote.get(path)
        if remote is None or remote.bytes != written.bytes or remote.sha256 is None:
            return False
        return remote.sha256 == self._digests.known(written)

    def _begin(self) -> None:
        # The repository is made only now, because before this the conversion may still be refused.
        self._repository.prepare(private=self._private)

    def _send(self, shard: FinishedShard) -> bool:
        if self.has(shard.path, shard.written):
            return False
        self._operations.append(self._store(_local(shard)))
        return True

    def _show(self, batch: Sequence[FinishedShard]) -> None:
        """Commit a batch, and check that the repository has it."""
        files = [_local(shard) for shard in batch]

        def attempt() -> dict[str, RemoteFile]:
            head = self._repository.head()
            remote = self._repository.files(head) if head else {}
            if head is None or all(f.is_same(remote.get(f.path), self._digests) for f in files):
                return remote
            # The operations of a commit that failed are not used again.
            operations, self._operations = self._operations, []
            if not operations:
                operations = [self._store(file) for file in files]
            commit = self._repository.commit(operations, [], SHARDS_MESSAGE, head)
            return self._repository.files(commit.oid)

        remote = retry_while_unreachable(attempt)
        prove_remote(self._repository, remote, files, self._digests)
        self._remote.update(remote)
        self._operations = []

    def _store(self, file: LocalFile) -> CommitOperationAdd:
        return self._repository.store(file, prove_local(file, self._digests))


def _local(shard: FinishedShard) -> LocalFile:
    return LocalFile(shard.path, shard.file, shard.written)


def _covered(options: ConvertOptions) -> set[tuple[str, str]]:
    """The configurations and published splits that the folder will have."""
    found = covered_by(choose(options, locate_release(options.release)))
    # The folder keeps what it already has. If its manifest is unreadable, the conversion says so.
    with suppress(ForeignFolder):
        manifest = read_manifest(options.output)
        found |= {(name, split) for name, splits in manifest.splits.items() for split in splits}
    return found


def open_repository(options: ConvertOptions, *, private: bool) -> HubRepository:
    """Check before hours of work that the Hub will not refuse the publication afterwards.

    Args:
        options: What to convert; its ``name`` is the repository.
        private: Whether the repository must be private.

    Raises:
        PublicationFailed: The Hub does not answer, the token may not write, the repository is
            public, or files in it would be removed.
    """
    assert options.name is not None
    repository = HubRepository(options.name)
    repository.sign_in()
    repository.require_private(private=private)
    asked = PublishOptions(options.output, options.name, private)
    require_room(repository, _covered(options), asked.foreign)
    return repository


def convert_and_publish(
    options: ConvertOptions, watcher: Watcher, *, private: bool, scratch: int | None
) -> tuple[Summary, Published]:
    """Convert a release and publish it.

    Args:
        options: What to convert; its ``name`` is the repository.
        watcher: Receives messages and progress.
        private: Whether the repository must be private.
        scratch: How many bytes the folder may take. Shards are then sent, and removed from the
            disk, while more shards are made. By default they stay.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``.
    """
    repository = open_repository(options, private=private)
    asked = PublishOptions(options.output, repository.name, private)
    if scratch is None:
        return convert(options, watcher), publish(asked, watcher)
    with Rolling(repository, options.output, scratch, watcher.say, private=private) as rolling:
        rolling.prepare()
        summary = convert(options, watcher, rolling)
    return summary, publish(asked, watcher)
