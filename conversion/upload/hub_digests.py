"""Remember the SHA-256 of files, by which the Hub identifies large files.

The manifest has a faster digest, and only published files need SHA-256. It is stored beside the
shards. So a folder is not read again when it is published again, and shards that were sent and then
removed from the disk are still recognised in the repository.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from xxhash import xxh3_128

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.sources.manifest import STATE_FOLDER
from bioscan5m_hf.storage.inside import link_on_the_way, open_regular, read_small, to_write
from conversion.files.atomic import Written, write_whole
from conversion.folder.state import KEPT_NAME

_BLOCK: Final = 1 << 20
_KEPT: Final = f"{STATE_FOLDER}/{KEPT_NAME}"
_KEPT_BYTES: Final = 64 << 20
_SHA256: Final = re.compile("[0-9a-f]{64}")


class HubDigests:
    """The SHA-256 of files that were read once, by their length and faster digest.

    It is safe to use from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known = _read(self._folder)

    def known(self, written: Written) -> str | None:
        """The SHA-256 of these bytes, in hex, if it is known."""
        return self._known.get(_key(written))

    def take(self, path: Path) -> tuple[Written, str]:
        """Read a file once for both digests, and remember the SHA-256.

        Returns:
            Its length and digest, and its SHA-256 in hex.

        Raises:
            OSError: It cannot be read.
        """
        fast, slow, length = xxh3_128(), hashlib.sha256(), 0
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                fast.update(block)
                slow.update(block)
                length += len(block)
        written = Written(length, fast.hexdigest())
        self._remember(written, slow.hexdigest())
        return written, slow.hexdigest()

    def of(self, path: Path, written: Written) -> str | None:
        """Return the SHA-256 of these bytes, in hex, and read the file if it is not known.

        Returns:
            The SHA-256; ``None`` if it is not known, and the file is missing or has other bytes.
        """
        if known := self.known(written):
            return known
        try:
            found, sha256 = self.take(path)
        except OSError:
            return None
        return sha256 if found == written else None

    def _remember(self, written: Written, sha256: str) -> None:
        with self._lock:
            if self._known.get(_key(written)) == sha256:
                return
            # Another publication may have added digests in the meantime, of shards that have been
            # removed since.
            self._known = _read(self._folder) | self._known | {_key(written): sha256}
            data = json.dumps(self._known, indent=1, sort_keys=True).encode()
            # If this cannot be written, the file is read again next time.
            with suppress(OutputError):
                write_whole(to_write(self._folder, _KEPT), data)


def _key(written: Written) -> str:
    return f"{written.bytes}-{written.xxh3}"


def _read(folder: Path) -> dict[str, str]:
    """Read the stored digests; the result is empty if the file is damaged or behind a link."""
    if link_on_the_way(folder, _KEPT):
        return {}
    try:
        kept = json.loads(read_small(folder / _KEPT, _KEPT_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {
        key: value
        for key, value in kept.items()
        if isinstance(value, str) and _SHA256.fullmatch(value)
    }
