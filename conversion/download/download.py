"""Download a release: plan, check the disk space, fetch missing files, and verify all files."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import OutputError, counted
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.upstream import Mirror, PublishedFile
from bioscan5m_hf.storage.disk import output_error
from bioscan5m_hf.storage.inside import remove_if_empty
from bioscan5m_hf.storage.retry import Patience
from conversion.download.hub import find_on_hub
from conversion.download.partial import Expected, prove
from conversion.download.plan import plan_download
from conversion.download.transfer import DEFAULT_PATIENCE, OnBytes, RemoteFile, Transfers
from conversion.progress import BYTES, Reached, Watcher
from conversion.sizes import readable_size

PARTS_FOLDER: Final = ".bioscan5m-download"
# Space for the file system's own data, and for other files that are written meanwhile.
_RESERVE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """The options of a download.

    Attributes:
        mirror: The mirror to download from.
        packages: The packages.
        output: The folder of the release.
        splits: The splits; empty for all.
        workers: How many files are fetched at a time.
        dry_run: Whether to list the files only.
        patience: How long to wait for a server, and how often to retry.
    """

    mirror: Mirror
    packages: tuple[str, ...]
    output: Path
    splits: tuple[Split, ...] = ()
    workers: int = 4
    dry_run: bool = False
    patience: Patience = DEFAULT_PATIENCE


class Presence(Enum):
    """The state of a file before the download; the value is shown to the user."""

    WHOLE = "is there"
    PART = "a part is there"
    ABSENT = "to be fetched"


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a download.

    Attributes:
        remote: The file, and its expected length and digest.
        presence: The state of the file before the download.
        held: How many bytes of it existed before the download.
    """

    remote: RemoteFile
    presence: Presence
    held: int


def download(options: DownloadOptions, watcher: Watcher) -> tuple[Item, ...]:
    """Download the files that the requested packages and splits need.

    Returns:
        The files; all of them are complete and verified, unless it was a dry run.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``. Partial files are kept, and the next
            run continues them. No file gets its final name before it is verified.
    """
    wanted = plan_download(options.mirror, options.packages, options.splits)
    transfers = Transfers(options.patience, f"bioscan5m-hf/{version('bioscan5m-hf')}")
    try:
        remotes = _find(options.mirror, wanted, transfers)
        items = tuple(_look(options.output, remote) for remote in remotes)
        if options.dry_run:
            return items
        _check_there(options.output, items, watcher)
        todo = [item for item in items if item.presence is not Presence.WHOLE]
        if todo:
            _check_room(options.output, todo)
            _fetch_all(options, todo, transfers, watcher)
        return items
    finally:
        transfers.close()


def _find(
    mirror: Mirror, wanted: Sequence[PublishedFile], transfers: Transfers
) -> list[RemoteFile]:
    if mirror.transport == "hub":
        return find_on_hub(mirror.address, wanted)
    found: list[RemoteFile] = []
    for file in wanted:
        url = f"{mirror.address.rstrip('/')}/{file.name}"
        size = file.bytes or transfers.length_of(RemoteFile(file.name, url, Expected(0)))
        expected = Expected(size, "md5", file.md5) if file.md5 else Expected(size)
        found.append(RemoteFile(file.name, url, expected))
    return found


def _look(output: Path, remote: RemoteFile) -> Item:
    # The part is checked first, because another run may finish meanwhile and rename it.
    held = _length(output / PARTS_FOLDER / f"{remote.name}.part")
    whole = _length(output / remote.name)
    if whole is not None:
        return Item(remote, Presence.WHOLE, whole)
    return Item(remote, Presence.PART if held else Presence.ABSENT, held or 0)


def _length(path: Path) -> int | None:
    """The length of a file; ``None`` if it does not exist."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_there(output: Path, items: Sequence[Item], watcher: Watcher) -> None:
    """Verify the existing files; a file that differs is an error and never overwritten."""
    there = [item for item in items if item.presence is Presence.WHOLE]
    if not there:
        return
    total = sum(item.remote.expected.bytes for item in there)
    with watcher.progress(f"proving {counted(len(there), 'file')}", total, BYTES) as reached:
        count = _adding(reached)
        for item in there:
            _require_same(output / item.remote.name, item.remote.expected, count)


def _adding(reached: Reached) -> OnBytes:
    """Return a function that adds up the bytes of all threads, and reports their sum."""
    lock, done = threading.Lock(), 0

    def add(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            reached(done)

    return add


def _require_same(path: Path, expected: Expected, on_bytes: OnBytes) -> None:
    try:
        wrong = prove(path, expected, on_bytes)
    except OSError as error:
        raise OutputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if wrong:
        raise OutputError(
            f"is there already, but {wrong}",
            where=str(path),
            fix="move it away to fetch it again, or choose another --output",
        )


def _check_room(output: Path, todo: Sequence[Item]) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(output).free
    except OSError as error:
        raise output_error(error, output) from error
    needed = sum(max(0, item.remote.expected.bytes - item.held) for item in todo) + _RESERVE
    if needed > free:
        raise OutputError(
            f"there is not enough room: {readable_size(needed)} are needed and "
            f"{readable_size(free)} are free",
            where=str(output),
            fix="make room, choose another --output, or ask for fewer --package or --split",
        )


def _fetch_all(
    options: DownloadOptions, todo: Sequence[Item], transfers: Transfers, watcher: Watcher
) -> None:
    parts = options.output / PARTS_FOLDER
    total = sum(item.remote.expected.bytes for item in todo)
    watcher.say(f"fetching {counted(len(todo), 'file')}, {readable_size(total)}")
    with watcher.progress("fetching", total, BYTES) as reached:
        count = _adding(reached)
        pool = ThreadPoolExecutor(options.workers)
        try:
            running = [
                pool.submit(_fetch, transfers, item.remote, parts, count, watcher) for item in todo
            ]
            _await(running)
        finally:
            # After an error or Ctrl-C, the threads stop at their next chunk.
            transfers.stop()
            pool.shutdown(cancel_futures=True)
    # Only if it is empty, because another run may fetch files into the same folder.
    remove_if_empty(parts)


def _await(running: Sequence[Future[None]]) -> None:
    done, _ = wait(running, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()


def _fetch(
    transfers: Transfers, remote: RemoteFile, parts: Path, on_bytes: OnBytes, watcher: Watcher
) -> None:
    transfers.fetch(remote, parts, on_bytes, parts.parent)
    watcher.say(f"{remote.name}: fetched")
