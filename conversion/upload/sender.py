"""Upload finished shards in a thread, while the conversion makes more shards."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final, Self

from bioscan5m_hf.storage.disk import output_error
from conversion.card.figures.specimens import Pick
from conversion.files.atomic import Written
from conversion.folder.state import receipt_path
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult
from conversion.sizes import readable_size
from conversion.upload.scratch import Scratch

# Waiting for a thread without a timeout may block Ctrl-C.
_POLL_SECONDS: Final = 0.1
# The threads of conversions that have failed: they end with the shard that is being sent.
_ending: Final[list[threading.Thread]] = []


@dataclass(frozen=True, slots=True)
class FinishedShard:
    """A finished shard that waits to be sent.

    Attributes:
        path: Its path in the dataset folder.
        file: Its path on the disk.
        written: Its length and digest.
        receipt: The path of its receipt in the dataset folder.
    """

    path: str
    file: Path
    written: Written
    receipt: str


class _Word(Enum):
    """A message to the thread, which handles it after the shards that were queued before it."""

    WAKE = auto()
    END = auto()


class Sender(ABC):
    """Uploads finished shards, and removes each from the disk when it has arrived.

    One thread sends one shard after the other. The shards that were sent are made visible in
    batches, and then removed from the disk: when a batch is large enough, when the conversion waits
    for disk space, and at the end. An error in the thread is raised in the conversion.

    Args:
        folder: The dataset folder in which shards are made.
        scratch: The limit for the disk space of this folder.
        say: Called with messages of one line.
        batch_bytes: The least size of a batch; by default each shard is a batch.
    """

    def __init__(
        self, folder: Path, scratch: Scratch, say: Callable[[str], None], batch_bytes: int = 0
    ) -> None:
        self._folder = folder
        self._scratch = scratch
        self._say = say
        self._batch_bytes = batch_bytes
        self._queue: queue.SimpleQueue[FinishedShard | _Word] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._given_up = threading.Event()
        self._error: BaseException | None = None
        self._taken = False
        self._thread = threading.Thread(target=self._work, name="bioscan5m-sender", daemon=True)

    # -------------------------------------------------------------- implemented by each target

    @abstractmethod
    def has(self, path: str, written: Written) -> bool:
        """Whether the target already has a shard with these bytes."""

    @abstractmethod
    def _begin(self) -> None:
        """Prepare the target, after the conversion has planned its shards."""

    @abstractmethod
    def _send(self, shard: FinishedShard) -> bool:
        """Send a shard; returns false if the target already had its bytes."""

    @abstractmethod
    def _show(self, batch: Sequence[FinishedShard]) -> None:
        """Make shards that were sent visible, so that they may be removed from the disk."""

    # ---------------------------------------------------------------- called by the conversion

    def plan(self, tasks: Sequence[ShardTask], shard_bytes: int) -> None:
        """Check that there is enough disk space, and prepare the target.

        Raises:
            UsageError: There is no room even for one shard at a time.
            BioscanError: The target refuses, or does not answer.
        """
        self._scratch.plan(tasks, shard_bytes)
        self._begin()

    def has_room(self, running: int) -> bool:
        """Whether one more shard may be started while ``running`` shards are being made.

        Raises:
            Exception: The error that stopped the thread.
        """
        self._raise()
        room = self._scratch.has_room(running)
        if not room and not self._hurry.is_set():
            self._hurry.set()
            self._queue.put(_Word.WAKE)
        return room

    def take(self, task: ShardTask, result: ShardResult) -> None:
        """Send a finished shard, unless it was sent and removed before.

        Raises:
            Exception: The error that stopped the thread.
        """
        self._raise()
        if result.written is None or not task.path.exists():
            return
        self._scratch.keep(task, result)
        self._taken = True
        receipt = receipt_path(result.shard)
        self._queue.put(FinishedShard(task.name, task.path, result.written, receipt))

    def picks(self, paths: Sequence[str]) -> list[Pick]:
        """Specimens for the contact sheet, chosen from shards before they were removed."""
        return [pick for path in paths for pick in self._scratch.picks(path) or []]

    def finish(self) -> None:
        """Wait until every shard is sent, visible, and removed from the disk.

        Raises:
            Exception: The error that stopped the thread.
        """
        self._queue.put(_Word.END)
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
        self._raise()

    def __enter__(self) -> Self:
        # What an earlier conversion of this process is still sending could replace what this one
        # sends.
        while left := [thread for thread in _ending if thread.is_alive()]:
            left[0].join(_POLL_SECONDS)
        _ending[:] = [thread for thread in _ending if thread.is_alive()]
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        # After a failure nothing more is sent; the next run finds the shards that have arrived.
        self._given_up.set()
        self._queue.put(_Word.WAKE)
        if self._thread.is_alive():
            _ending.append(self._thread)

    def _raise(self) -> None:
        if self._error:
            raise self._error

    # ---------------------------------------------------------------------- run in the thread

    def _work(self) -> None:
        try:
            self._send_all()
        except OSError as error:
            self._error = output_error(error, self._folder)
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - raised again in the conversion's thread
            self._error = error

    def _send_all(self) -> None:
        batch: list[FinishedShard] = []
        found: FinishedShard | _Word = _Word.WAKE
        while found is not _Word.END:
            found = self._queue.get()
            if self._given_up.is_set():
                return
            if isinstance(found, FinishedShard):
                if self._send(found):
                    self._say(f"{found.path}: sent ({readable_size(found.written.bytes)})")
                batch.append(found)
            full = sum(shard.written.bytes for shard in batch) >= self._batch_bytes
            # If more shards are queued, the batch is shown together with them.
            awaited = self._hurry.is_set() and self._queue.empty()
            if batch and (full or awaited or found is _Word.END):
                self._show(batch)
                for shard in batch:
                    self._scratch.free(shard.file, shard.written.bytes)
                batch = []
                self._hurry.clear()
