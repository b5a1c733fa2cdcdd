"""Write the small files of a dataset folder together, and enter them in its manifest."""

from __future__ import annotations

from pathlib import Path

from bioscan5m_hf.storage.inside import to_write
from conversion.files.atomic import write_together, written_as
from conversion.folder.manifest import Manifest, ShardFile


class SmallFiles:
    """Files that are entered in the manifest when they are added, and later written together.

    They are written together because syncing a file to the disk takes longer than making it.

    Args:
        folder: The dataset folder.
        manifest: Its manifest, which the caller writes.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self._held: dict[Path, bytes] = {}

    def add(self, name: str, data: bytes, values: int = 0) -> None:
        """Add a file.

        Args:
            name: Its path in the folder.
            data: Its content.
            values: How many values it holds, for the manifest.

        Raises:
            ForeignFolder: The path leads out of the folder.
        """
        self._held[to_write(self._folder, name)] = data
        written = written_as(data)
        self._manifest.extras[name] = ShardFile(name, values, written.bytes, written.xxh3)

    def write(self) -> None:
        """Write the files.

        Raises:
            OutputError: One of them cannot be written.
        """
        write_together(self._held)
        self._held = {}
