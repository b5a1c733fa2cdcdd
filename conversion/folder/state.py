"""Keep the state of an unfinished conversion: a lock, and a receipt for each shard."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioscan5m_hf.errors import FolderInUse, ForeignFolder
from bioscan5m_hf.files.lock import open_locked, open_made
from bioscan5m_hf.schema.configurations import METADATA, PACKAGE_PATTERN
from bioscan5m_hf.sources.manifest import BEGUN_NAME, LOCK_NAME, MANIFEST_NAME, STATE_FOLDER
from bioscan5m_hf.storage.inside import (
    read_small,
    real_folders,
    remove_if_empty,
    remove_tree,
    to_write,
)
from conversion.files.atomic import Written, remove_partials, write_whole
from conversion.folder.loss import Pairs
from conversion.folder.stamps import Stamps
from conversion.planning.shards import Shard
from conversion.planning.tasks import ShardTask
from conversion.rejects import Finding
from conversion.shards.build import ShardResult

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KEPT_NAME = "hub-digests.json"
"""The file that stays in that folder: the digests of the published files."""
_WORK, _RECEIPTS, _PICKS = "work", "receipts", "picks"
# A shard has thousands of specimens, and its receipt may record each of them as flawed.
_RECEIPT_BYTES = 64 << 20

IsElsewhere = Callable[[str, Written], bool]
"""Whether a file of the folder, with this length and digest, was already uploaded."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The inputs and the result of a finished shard.

    Attributes:
        made_from: Everything that decides its bytes, by name: digests, options, versions.
        result: The result of making it.
    """

    made_from: dict[str, str]
    result: ShardResult

    def to_json(self) -> bytes:
        """The receipt as the text of a file."""
        content = asdict(self)
        return json.dumps({"receipt": content, "sha256": _digest(content)}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Receipt:
        """Read a receipt back.

        Raises:
            ValueError: It is not a receipt, or it is damaged.
        """
        try:
            kept: dict[str, Any] = json.loads(text)
            data = kept["receipt"]
            if kept["sha256"] != _digest(data):
                raise ValueError("the receipt is damaged")
            result = data["result"]
            written = result["written"]
            found = ShardResult(
                Shard(**result["shard"]),
                result["rows"],
                result["image_bytes"],
                Written(**written) if written else None,
                tuple(Finding(**finding) for finding in result["rejects"]),
            )
            _check_types(found, found.shard, *found.rejects, *filter(None, [found.written]))
            return cls({str(name): str(value) for name, value in data["made_from"].items()}, found)
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"not a receipt: {error!r}") from error


def _check_types(*values: DataclassInstance) -> None:
    """Check that the fields of type text and number have their declared types."""
    kinds: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "str": (str,),
        "str | None": (str, type(None)),
    }
    for value in values:
        for field in fields(value):
            wanted = kinds.get(str(field.type), (object,))
            if not isinstance(found := getattr(value, field.name), wanted):
                raise ValueError(f"{field.name} is {found!r:.60} and not {field.type}")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class State:
    """The hidden folder of an unfinished conversion.

    Attributes:
        stamps: The stamps of shards that this run has made, or has read and found intact.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamps = Stamps(folder)
        self.path = folder / STATE_FOLDER
        self.work = self.path / _WORK
        self._receipts = self.path / _RECEIPTS

    def trusted(self, task: ShardTask, is_elsewhere: IsElsewhere) -> ShardResult | None:
        """Return the result of an earlier run for a shard, if its file is unchanged since then."""
        try:
            receipt = Receipt.from_json(read_small(self._receipt(task.shard), _RECEIPT_BYTES))
        except (OSError, ValueError):
            return None
        if receipt.made_from != dict(task.made_from) or receipt.result.shard != task.shard:
            return None
        if receipt.result.rejects and not task.record:
            return None
        if receipt.result.written is None:
            return receipt.result
        if task.path.exists():
            intact = self.stamps.holds(task.name, receipt.result.written)
        else:
            intact = is_elsewhere(task.name, receipt.result.written)
        return receipt.result if intact else None

    def changes(self, tasks: Sequence[ShardTask]) -> list[str]:
        """Return phrases about the differences between the unfinished run and the tasks."""
        planned = {self._receipt(task.shard).name: dict(task.made_from) for task in tasks}
        splits = {(task.shard.configuration, task.shard.split): task for task in tasks}
        found: dict[str, None] = {}
        for path in sorted(self._receipts.glob("*.json")):
            try:
                receipt = Receipt.from_json(read_small(path, _RECEIPT_BYTES))
            except (OSError, ValueError):
                continue
            shard = receipt.result.shard
            task = splits.get((shard.configuration, shard.split))
            if task is None:
                continue
            now = planned.get(path.name, dict(task.made_from))
            others = [
                name for name in receipt.made_from if receipt.made_from[name] != now.get(name)
            ]
            # Another shard size also changes the input of each shard. So a changed input is
            # reported only if nothing else has changed.
            for name in [name for name in others if name != "input"] or others:
                found[_change(name, receipt.made_from[name], now.get(name))] = None
        return list(found)

    def keep(self, task: ShardTask, result: ShardResult) -> None:
        """Write the receipt of a finished shard."""
        if result.written:
            self.stamps.note(task.name, result.written.xxh3)
        receipt = Receipt(dict(task.made_from), result)
        write_whole(to_write(self.folder, receipt_path(result.shard)), receipt.to_json())

    def receipts(self) -> int:
        """How many shards have a receipt."""
        return len(list(self._receipts.glob("*.json")))

    def has_orphans(self) -> bool:
        """Whether there are files but no manifest.

        A run that ends after it wrote a shard, but before its receipt, leaves such a file.
        """
        if (self.folder / MANIFEST_NAME).exists():
            return False
        return any(path.is_file() for path in self.folder.glob("*/*") if path.parent != self.path)

    def forget_receipts(self, covered: Pairs) -> None:
        """Remove the receipts of these splits; those of other unfinished conversions stay."""
        for path in self._receipts.glob("*.json"):
            configuration, _, name = path.name.partition("__")
            if (configuration, name.partition("-")[0]) in covered:
                path.unlink(missing_ok=True)

    def _receipt(self, shard: Shard) -> Path:
        return self.folder / receipt_path(shard)


def receipt_path(shard: Shard) -> str:
    """Return the path of a shard's receipt in the dataset folder."""
    return f"{STATE_FOLDER}/{_RECEIPTS}/{shard.name('.json').replace('/', '__')}"


def _change(name: str, before: str, now: str | None) -> str:
    if name == "input":
        return "the images or the metadata of the release have changed"
    return f"{name} was {before} and is now {now}"


@contextmanager
def open_state(folder: Path, say: Callable[[str], None] = warnings.warn) -> Iterator[State]:
    """Lock a dataset folder for writing, and clean it up before and afterwards.

    Partial files of interrupted runs are removed first. At the end, the work folder is removed. If
    nothing is unfinished, the state in the hidden folder is removed too, and the dataset folder
    itself if this call made it and it is empty.

    Args:
        folder: The dataset folder; it is made if it does not exist.
        say: Called with a message about links in the folder, or if it cannot be locked.

    Raises:
        FolderInUse: Another conversion has locked it.
        ForeignFolder: It holds something that this program did not make, or its hidden folder
            is a link.
    """
    check_ours(folder)
    made = not folder.exists()
    state = State(folder)
    descriptor = _lock(folder, say)
    try:
        _tell_of_links(folder, say)
        remove_partials(folder)
        remove_tree(folder, f"{STATE_FOLDER}/{_WORK}")
        # The folder may still exist: on a network file system, files that a lost worker holds open
        # stay for a while.
        state.work.mkdir(exist_ok=True)
        yield state
    finally:
        remove_tree(folder, f"{STATE_FOLDER}/{_WORK}")
        remove_partials(folder)
        _remove_empty(folder)
        if not state.receipts() and not state.has_orphans():
            _clear(folder)
        os.close(descriptor)
        if made:
            remove_if_empty(folder)


def _clear(folder: Path) -> None:
    """Remove the state of an unfinished conversion; other files in the hidden folder stay."""
    for name in (_RECEIPTS, _PICKS):
        remove_tree(folder, f"{STATE_FOLDER}/{name}")
    hidden = folder / STATE_FOLDER
    (hidden / BEGUN_NAME).unlink(missing_ok=True)
    # The lock goes last: without it, another conversion may begin here and keep the folder.
    (hidden / LOCK_NAME).unlink(missing_ok=True)
    remove_if_empty(hidden)


def _tell_of_links(folder: Path, say: Callable[[str], None]) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and path.is_dir():
            say(f"{path} is a link: its target may be read, but is not changed")


def _lock(folder: Path, say: Callable[[str], None]) -> int:
    path = folder / STATE_FOLDER / LOCK_NAME
    try:
        descriptor, missing = open_locked(path, lambda: _open_lock(path, folder))
    except BlockingIOError as error:
        raise FolderInUse(
            "another conversion is writing this folder",
            where=str(folder),
            fix="wait until it has ended, or choose another --output",
        ) from error
    if missing:
        say(
            f"{folder} cannot be locked ({missing}): make sure that no other "
            "conversion writes to it at the same time"
        )
    return descriptor


def _open_lock(path: Path, folder: Path) -> int:
    try:
        for name in ("", f"{_WORK}/", f"{_RECEIPTS}/", f"{_PICKS}/"):
            to_write(folder, f"{STATE_FOLDER}/{name}{LOCK_NAME}")
        return open_made(path)
    except OSError as error:
        # A link or a pipe in place of the lock: ``open_made`` opens neither.
        odd = error.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR)
        raise ForeignFolder(
            f"the folder cannot be written to ({error.strerror})",
            where=str(path if odd else folder),
            fix="remove what stands in place of the lock" if odd else None,
        ) from error


def check_ours(folder: Path) -> None:
    """Check that a folder is missing, empty, or made by this program, before it is written to.

    Raises:
        ForeignFolder: It holds something that this program did not make.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise ForeignFolder("is a file, not a folder", where=str(folder)) from error
    if names and MANIFEST_NAME not in names and STATE_FOLDER not in names:
        raise ForeignFolder(
            f"the output folder is not empty, and this program did not make it "
            f"(it holds {min(names)})",
            where=str(folder),
            fix="choose an empty or a new folder",
        )


def _remove_empty(folder: Path) -> None:
    """Remove configuration folders that are empty."""
    for below in real_folders(folder):
        if re.fullmatch(f"{PACKAGE_PATTERN}|{METADATA}", below.name):
            remove_if_empty(below)
