"""Write the HDF5 file that CLIBD trains on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.errors import MissingDependency
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, Split, split_named
from conversion.export.base import ExportOptions, ExportResult, Specimens, Target

if TYPE_CHECKING:
    import h5py

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "all_keys": ("key_unseen", "train"),
    "seen_keys": ("train",),
    "unseen_keys": ("key_unseen",),
    "val_seen": ("val",),
    "test_seen": ("test",),
    "val_unseen": ("val_unseen",),
    "test_unseen": ("test_unseen",),
    "no_split_and_seen_train": ("pretrain", "train"),
    "other_heldout": ("other_heldout",),
}
"""The groups of the file; each contains the specimens of its splits, one split after another."""

PUBLISHED_WIDTH: Final = 29_598
"""The width of ``image`` in the file that CLIBD's authors published, in bytes."""

NOT_CLASSIFIED: Final = "not_classified"

_TEXTS: Final = {
    "barcode": "dna_barcode",
    "order": "order",
    "family": "family",
    "genus": "genus",
    "species": "species",
    "sampleid": "sampleid",
    "processid": "processid",
}
_RANKS: Final = ("order", "family", "genus", "species")
_COLUMNS: Final = (IMAGE_COLUMN, *_TEXTS.values())
_ROWS: Final = 256


class Clibd(Target):
    """One HDF5 file with the groups and datasets of CLIBD.

    ``image`` has the bytes of each JPEG as uint8, padded with zeros to 29,598 bytes, or to the
    longest image of the group if that is longer. ``image_mask`` has the lengths. Compression
    removes the cost of the padding.
    """

    name = "clibd"
    image = True

    def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
        """Write the groups whose splits are all exported.

        Raises:
            MissingDependency: ``h5py`` is not installed.
        """
        try:
            import h5py
        except ImportError as error:
            raise MissingDependency(
                "HDF5 files are written with h5py, which is not installed",
                fix="pip install 'bioscan5m-hf[hdf5]'",
            ) from error
        result = ExportResult(files=1)
        with _Disk(part, "x+b") as disk, h5py.File(disk, "w") as file:
            for name, members in GROUPS.items():
                splits = [split_named(member) for member in members]
                absent = [split.name for split in splits if split not in options.splits]
                if absent:
                    reason = f"{', '.join(absent)} not exported"
                    result.notes.append(f"without the group {name}: {reason}")
                    continue
                result.written += self._write_group(file, disk, name, splits, specimens)
        # HDF5 writes its remaining buffers when the file is closed, so this is checked again.
        disk.require_written()
        return result

    def _write_group(
        self, file: h5py.File, disk: _Disk, name: str, splits: list[Split], specimens: Specimens
    ) -> int:
        group: _Group | None = None
        for split in splits:
            for table in specimens.tables(split, _COLUMNS):
                group = group or _Group(file.create_group(name))
                for start in range(0, table.num_rows, _ROWS):
                    group.append(table.slice(start, _ROWS))
                    disk.require_written()
        return group.rows if group else 0


class _Disk(io.FileIO):
    """The file on the disk; it hides write errors from HDF5 and keeps them for this program.

    Otherwise HDF5 ends the process with a segmentation fault when it closes a file on a full disk.
    """

    _failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all bytes, or record the error."""
        left = memoryview(data).cast("B")
        length = len(left)
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            self._failure = self._failure or error
        return length

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file, or record the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._failure = self._failure or error
            return self.tell() if size is None else size

    def flush(self) -> None:
        """Do nothing, because writes are not buffered; the library requires this method."""

    def require_written(self) -> None:
        """Check that all bytes were written.

        Raises:
            OSError: A write failed before.
        """
        if self._failure:
            raise self._failure


class _Group:
    """A group whose datasets grow while specimens are appended."""

    def __init__(self, group: h5py.Group) -> None:
        import h5py

        text = h5py.string_dtype()
        self._images = group.create_dataset(
            "image",
            (0, PUBLISHED_WIDTH),
            np.uint8,
            maxshape=(None, None),
            chunks=(1, PUBLISHED_WIDTH),
            compression="gzip",
            compression_opts=1,
        )
        self._lengths = self._column(group, "image_mask", np.int64)
        self._texts = {name: self._column(group, name, text) for name in (*_TEXTS, "image_file")}
        self.rows = 0

    @staticmethod
    def _column(group: h5py.Group, name: str, kind: Any) -> h5py.Dataset:
        return group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(4096,))

    def append(self, table: pa.Table) -> None:
        images = table[IMAGE_COLUMN].combine_chunks().field("bytes")
        lengths = pc.binary_length(images).to_numpy()
        first, self.rows = self.rows, self.rows + table.num_rows
        width = max(self._images.shape[1], int(lengths.max()))
        self._images.resize((self.rows, width))
        padded = np.zeros((table.num_rows, width), np.uint8)
        for row, (image, length) in enumerate(zip(images, lengths, strict=True)):
            padded[row, :length] = np.frombuffer(image.as_buffer(), np.uint8)
        self._images[first:] = padded
        self._extend(self._lengths, lengths)
        for name, column in _TEXTS.items():
            missing = NOT_CLASSIFIED if name in _RANKS else ""
            self._extend(self._texts[name], [text or missing for text in table[column].to_pylist()])
        files = [f"{processid}.jpg" for processid in table["processid"].to_pylist()]
        self._extend(self._texts["image_file"], files)

    def _extend(self, dataset: h5py.Dataset, values: Any) -> None:
        first = dataset.shape[0]
        dataset.resize((self.rows,))
        dataset[first:] = values
