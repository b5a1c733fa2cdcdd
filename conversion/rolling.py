"""Publish shards while they are made, and free the disk of each that the Hub has.

A shard is sent when it is finished, committed together with its neighbours, looked up in the
repository, and only then removed from the disk. Shards come without a card: the repository
advertises them with the last commit, which ``publish`` makes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from huggingface_hub import CommitOperationAdd

from bioscan5m_hf.errors import BioscanError, HubUnreachable, VerificationFailed
from conversion.console import readable_size
from conversion.convert import ConvertOptions, Reporter, convert
from conversion.files import Written
from conversion.hub import HubRepository, LocalFile, RemoteFile
from conversion.pictures.specimens import Pick
from conversion.publish import Published, PublishOptions, Say, compare, prove_local, publish
from conversion.scratch import Scratch
from conversion.shard import ShardResult, ShardTask
from conversion.summary import Summary

_MESSAGE: Final = "Add shards of BIOSCAN-5M"
_ATTEMPTS: Final = 3
_POLL_SECONDS: Final = 0.1
_BATCH_SHARE: Final = 4


@dataclass(slots=True)
class _Batch:
    """Shards whose bytes the Hub has, and that no commit shows yet."""

    files: list[LocalFile] = field(default_factory=list)
    operations: list[CommitOperationAdd] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class Rolling:
    """Sends finished shards to a repository, in a thread beside the conversion.

    Args:
        repository: Where they go.
        folder: The dataset folder.
        scratch: How many bytes the folder may take.
        say: Told how it goes.
    """

    def __init__(self, repository: HubRepository, folder: Path, scratch: int, say: Say) -> None:
        self._repository = repository
        self._allowed = scratch
        self._scratch = Scratch(folder, scratch)
        self._say = say
        self._queue: queue.SimpleQueue[LocalFile] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._hurry = threading.Event()
        self._error: BioscanError | None = None
        self._remote: dict[str, RemoteFile] = {}
        self._thread = threading.Thread(target=self._work, daemon=True)

    def prepare(self, *, private: bool, foreign: str) -> None:
        """Make the repository, and see that it may be written to.

        Args:
            private: Whether others may not see it.
            foreign: See ``PublishOptions.foreign``.

        Raises:
            PublicationFailed: The Hub refuses, or does not answer.
        """
        self._repository.sign_in()
        self._repository.prepare(private=private)
        found = compare(self._repository, [], foreign)
        if found.commit:
            self._remote = self._repository.files(found.commit)
        self._thread.start()

    # ----------------------------------------------------------------- asked by the conversion

    def has(self, path: str, written: Written) -> bool:
        """Whether the repository shows a shard with these bytes.

        Args:
            path: Its path in the folder.
            written: Its length and digest.
        """
        remote = self._remote.get(path)
        return bool(remote and remote.bytes == written.bytes and remote.sha256 == written.sha256)

    def plan(self, tasks: Sequence[ShardTask], shard_bytes: int) -> None:
        """See whether the disk that is allowed suffices.

        Args:
            tasks: The shards of this run.
            shard_bytes: The size that one should have at most.

        Raises:
            UsageError: Not even one shard at a time has room.
        """
        self._scratch.plan(tasks, shard_bytes)

    def has_room(self, running: int) -> bool:
        """Whether one more shard may be begun.

        Args:
            running: How many are being made.

        Raises:
            BioscanError: What stopped the sending.
        """
        self._raise()
        room = self._scratch.has_room(running)
        if not room:
            self._hurry.set()
        return room

    def take(self, task: ShardTask, result: ShardResult) -> None:
        """Send a finished shard, and free it when the repository shows it.

        Args:
            task: What it was made from.
            result: What came of it.

        Raises:
            BioscanError: What stopped the sending.
        """
        self._raise()
        if result.written is None or not task.path.exists():
            return
        path = self._scratch.keep(task, result)
        self._queue.put(LocalFile(path, task.path, result.written.bytes, result.written.sha256))

    def picks(self, paths: Sequence[str]) -> list[Pick]:
        """The specimens that were chosen from shards before they were freed.

        Args:
            paths: The shards.
        """
        return [pick for path in paths for pick in self._scratch.picks(path) or []]

    def finish(self) -> None:
        """Wait until everything is sent, shown and freed.

        Raises:
            BioscanError: What stopped the sending.
        """
        self._ended.set()
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
        self._raise()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        # After a failure nothing more is sent; what was not committed is found again next time.
        self._given_up.set()

    def _raise(self) -> None:
        if self._error:
            raise self._error

    # --------------------------------------------------------------------------- in the thread

    def _work(self) -> None:
        try:
            self._send_all()
        except BioscanError as error:
            self._error = error

    def _send_all(self) -> None:
        batch = _Batch()
        while not self._given_up.is_set():
            # Asked before the queue is: what was put in before the end is taken out before it.
            ended = self._ended.is_set()
            try:
                file = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                file = None
            if file:
                self._send(file, batch)
            full = batch.bytes >= self._allowed // _BATCH_SHARE
            if batch.files and (full or (not file and (ended or self._hurry.is_set()))):
                self._show(batch)
                batch = _Batch()
                self._hurry.clear()
            if ended and not file and not batch.files:
                return

    def _send(self, file: LocalFile, batch: _Batch) -> None:
        if not self.has(file.path, Written(file.bytes, file.sha256)):
            prove_local(file)
            batch.operations.append(self._repository.store(file))
            self._say(f"{file.path}: sent ({readable_size(file.bytes)})")
        batch.files.append(file)

    def _show(self, batch: _Batch) -> None:
        """Commit a batch, see that the repository has it, and free the disk."""
        for attempt in range(1, _ATTEMPTS + 1):
            head = self._repository.head()
            remote = self._repository.files(head) if head else {}
            if head is None or all(file.is_same(remote.get(file.path)) for file in batch.files):
                break
            try:
                commit = self._repository.commit(batch.operations, [], _MESSAGE, head)
            except HubUnreachable:
                # It may have happened all the same: the repository is asked again.
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(attempt)
                batch.operations = [self._repository.store(file) for file in batch.files]
                continue
            remote = self._repository.files(commit.oid)
            break
        for file in batch.files:
            if not file.is_same(remote.get(file.path)):
                raise VerificationFailed(
                    "the repository does not show the bytes that were sent",
                    where=f"{self._repository.url}: {file.path}",
                    fix="run the same command again",
                )
        self._remote.update(remote)
        for file in batch.files:
            self._scratch.free(file.source, file.bytes)


def convert_and_publish(
    options: ConvertOptions, reporter: Reporter, *, private: bool, scratch: int | None
) -> tuple[Summary, Published]:
    """Convert a release and publish it.

    Args:
        options: What to convert; its name is the repository.
        reporter: Told how it goes.
        private: Whether others may not see the repository.
        scratch: How many bytes the folder may take; shards are then sent and freed while others
            are made. By default they stay.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``.
    """
    assert options.name is not None
    repository = HubRepository(options.name)
    asked = PublishOptions(options.output, options.name, private)
    if scratch is None:
        # Before hours of work, not after them.
        repository.sign_in()
        return convert(options, reporter), publish(asked, reporter.say)
    with Rolling(repository, options.output, scratch, reporter.say) as rolling:
        rolling.prepare(private=private, foreign=asked.foreign)
        summary = convert(options, reporter, rolling)
    return summary, publish(asked, reporter.say)
