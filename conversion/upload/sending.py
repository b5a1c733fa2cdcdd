"""Convert into a remote folder: make shards on the disk, then send, verify and remove them.

The store has a receipt for each of its shards, like the local folder of an unfinished conversion.
So the same command can continue on any machine. An old receipt is removed before its shard is sent,
and the new receipt follows the shard. The manifest comes last. Before a file in the manifest is
replaced, the manifest is removed, or replaced by one without this file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import (
    BioscanError,
    ForeignFolder,
    VerificationFailed,
)
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.sources.manifest import BEGUN_NAME, MANIFEST_NAME, SHARD_PATH, STATE_FOLDER
from bioscan5m_hf.storage.path import RemotePath
from conversion.card.figures.specimens import Pick, pick_specimens
from conversion.card.readme import CARD_NAME
from conversion.files.atomic import PARTIAL_SUFFIX, Written, digest_of, require_apart
from conversion.folder.loss import beyond
from conversion.folder.manifest import Manifest, ShardFile, read_manifest
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.outcome import Summary
from conversion.progress import Watcher
from conversion.upload.copies import about_url
from conversion.upload.scratch import PICKS_FOLDER, Scratch
from conversion.upload.sender import FinishedShard, Sender
from conversion.upload.stores import Store, fetch

_MARK: Final = f"{STATE_FOLDER}/{BEGUN_NAME}"


class Sending(Sender):
    """Sends finished shards to a store, each with its receipt.

    Args:
        store: The store to send them to.
        folder: The local folder in which they are made.
        scratch: The limit for the disk space of this folder.
        watcher: Receives messages.
    """

    def __init__(self, store: Store, folder: Path, scratch: Scratch, watcher: Watcher) -> None:
        super().__init__(folder, scratch, watcher.say)
        self._store = store
        self._remote: dict[str, int] = {}
        self._listed: dict[str, ShardFile] = {}
        self._were_ours: set[str] = set()
        self._marked = self._changed = False

    def prepare(self) -> None:
        """Check that the store can be written to, and fetch all its files except the shards.

        Raises:
            ForeignFolder: It holds something that this program did not put there.
            OutputError: The store refuses, or does not answer.
        """
        self._remote = self._store.files()
        begun = any(path.startswith(f"{STATE_FOLDER}/") for path in self._remote)
        if self._remote and MANIFEST_NAME not in self._remote and not begun:
            raise ForeignFolder(
                "the output folder is not empty, and this program did not make it "
                f"(it holds {min(self._remote)})",
                where=str(self._store.root),
                fix="choose an empty or a new folder",
            )
        # A store that refuses to be written to must say so before hours of work.
        self._marked = _MARK not in self._remote
        self._put_bytes(_MARK, b"A conversion into this folder was begun.\n")
        self._changed = False
        for path in [path for path in self._remote if path.endswith(PARTIAL_SUFFIX)]:
            self._remove(path)
        for path in self._remote:
            if path.startswith(f"{STATE_FOLDER}/") and path != _MARK:
                fetch(self._store.root / path, self._folder / path)
        if MANIFEST_NAME in self._remote:
            fetch(self._store.root / MANIFEST_NAME, self._folder / MANIFEST_NAME)
            self._fetch_listed()
        self._thread.start()

    def _fetch_listed(self) -> None:
        try:
            manifest = read_manifest(self._folder)
        except ForeignFolder:
            # The conversion reads the manifest again, and reports the error unless it restarts.
            return
        self._listed = {file.path: file for file in manifest.files()} | manifest.extras
        self._were_ours = set(self._listed)
        for path in manifest.extras:
            if path in self._remote:
                fetch(self._store.root / path, self._folder / path)

    # ---------------------------------------------------------------- called by the conversion

    def has(self, path: str, written: Written) -> bool:
        """Whether the store has a shard of this length; its receipt records its digest."""
        return self._remote.get(path) == written.bytes

    def _begin(self) -> None:
        """Remove receipts and picks from the store that this conversion does not continue."""
        kept = [path for path in self._remote if path.startswith(f"{STATE_FOLDER}/receipts/")]
        if forgotten := [path for path in kept if not (self._folder / path).exists()]:
            picks = [path for path in self._remote if path.startswith(f"{PICKS_FOLDER}/")]
            for path in (*forgotten, *picks):
                (self._folder / path).unlink(missing_ok=True)
                self._remove(path)
        self._withdraw()

    def picks(self, paths: Sequence[str]) -> list[Pick]:
        """Specimens for the contact sheet; a shard is fetched if its specimens were not kept."""
        found: list[Pick] = []
        for path in paths:
            kept = self._scratch.picks(path)
            if kept is None:
                with tempfile.TemporaryDirectory(dir=self._folder.parent) as aside:
                    copy = Path(aside) / path.rpartition("/")[2]
                    fetch(self._store.root / path, copy)
                    kept = pick_specimens(copy)
            found += kept
        return found

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        super().__exit__(kind, *exception)
        # The thread may be about to send a shard, but not have set ``_changed`` yet. So ``_taken``
        # is checked too.
        untouched = self._marked and not self._changed and not self._taken
        if kind and issubclass(kind, BioscanError) and untouched:
            # The conversion was refused before it did anything, so the folder stays as it was.
            with suppress(BioscanError):
                self._store.remove(_MARK)

    # ----------------------------------------------------------------------------- the sending

    def _send(self, shard: FinishedShard) -> bool:
        if shard.receipt in self._remote:
            self._remove(shard.receipt)
        self._put(shard.path, shard.file, shard.written)
        picks = self._scratch.picks_file(shard.path)
        if picks.exists():
            self._put(f"{PICKS_FOLDER}/{picks.name}", picks, digest_of(picks))
        return True

    def _show(self, batch: Sequence[FinishedShard]) -> None:
        for shard in batch:
            receipt = self._folder / shard.receipt
            self._put(shard.receipt, receipt, digest_of(receipt))

    def _withdraw(self) -> None:
        """Remove files that will be replaced from card and manifest, as in the local folder."""
        if MANIFEST_NAME not in self._remote:
            return
        local = self._folder / MANIFEST_NAME
        kept: dict[str, ShardFile] = {}
        if local.exists():
            manifest = read_manifest(self._folder)
            kept = {file.path: file for file in manifest.files()} | manifest.extras
        if kept == self._listed and self._listed:
            return
        self._remove(MANIFEST_NAME)
        if local.exists():
            card = self._folder / CARD_NAME
            self._put(CARD_NAME, card, digest_of(card))
            self._put(MANIFEST_NAME, local, digest_of(local))
        elif CARD_NAME in self._remote:
            self._remove(CARD_NAME)
        self._listed = kept

    def complete(self, manifest: Manifest) -> None:
        """Send the remaining files, the manifest last, and remove files that are left over.

        Raises:
            OutputError: The store refuses, or does not answer.
            VerificationFailed: A shard is missing in the store.
        """
        files = [*manifest.files(), *manifest.extras.values()]
        files.sort(key=lambda file: file.path == CARD_NAME)
        for file in files:
            if self._listed.get(file.path) == file and self._remote.get(file.path) == file.bytes:
                continue
            local = self._folder / file.path
            if local.exists():
                self._put(file.path, local, Written(file.bytes, file.xxh3))
            elif self._remote.get(file.path) != file.bytes:
                raise VerificationFailed(
                    "the store does not have this shard",
                    where=str(self._store.root / file.path),
                    fix="run the same command again",
                )
        local = self._folder / MANIFEST_NAME
        self._put(MANIFEST_NAME, local, digest_of(local))
        held = {MANIFEST_NAME, *(file.path for file in files)}
        covered = {(name, split) for name, splits in manifest.splits.items() for split in splits}
        others = beyond(self._remote, covered)
        for path in [path for path in self._remote if self._is_ours(path) and path not in held]:
            if path not in others or path in self._were_ours:
                self._remove(path)

    def _is_ours(self, path: str) -> bool:
        """Whether a file is left over from this conversion, or from what it replaces."""
        if path.startswith(f"{STATE_FOLDER}/"):
            # Receipts of another unfinished conversion stay in the store, as they stay locally.
            return not (self._folder / path).exists()
        return path in self._were_ours or SHARD_PATH.fullmatch(path) is not None

    def _put(self, path: str, source: Path, written: Written) -> None:
        self._changed = True
        self._store.put(path, source, written)
        self._remote[path] = written.bytes

    def _put_bytes(self, path: str, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self._put(path, Path(file.name), digest_of(Path(file.name)))

    def _remove(self, path: str) -> None:
        self._changed = True
        self._store.remove(path)
        self._remote.pop(path, None)


def convert_to_url(
    options: ConvertOptions, url: RemotePath, watcher: Watcher, *, scratch: int | None = None
) -> Summary:
    """Convert a release into a remote folder.

    Args:
        options: What to convert; its ``output`` is ignored.
        url: The folder to write.
        watcher: Receives messages and progress.
        scratch: How many bytes the local folder may take. By default, there is room for the files
            that stay there and for two shards for each worker.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``.
    """
    store = Store(url)
    require_apart(options.release, url)
    with temporary_folder() as made:
        folder = made / "folder"
        folder.mkdir()
        space = Scratch(folder, scratch, shards=options.shards_on_disk)
        try:
            with Sending(store, folder, space, watcher) as sending:
                sending.prepare()
                summary = convert(replace(options, output=folder), watcher, sending)
                sending.complete(summary.manifest)
        except BioscanError as error:
            raise about_url(error, folder, url) from error
    return summary
