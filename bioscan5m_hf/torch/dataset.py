"""Provide ``BIOSCAN5M``, a map-style dataset with the arguments and items of bioscan-dataset."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import torch.utils.data

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.jpeg import HAVE_OPENCV
from bioscan5m_hf.query.choice import PROCESSID, Choice, Numbers
from bioscan5m_hf.readers.base import ImageReader, Piece
from bioscan5m_hf.readers.images import read_images
from bioscan5m_hf.schema.columns import RANKS, column_names
from bioscan5m_hf.schema.order import Keys, keys_of
from bioscan5m_hf.torch.decoder import Decoder
from bioscan5m_hf.torch.items import BARCODE, IMAGE_PATH, INDEX, Items, Transform, image_paths
from bioscan5m_hf.torch.selection import choose, first_of_each_barcode, open_root

_NOT_IN_METADATA: Final = ("sampleid", "taxon", "inferred_ranks", "index_bioscan_1M_insect")
_MEASURE: Final = "image_measurement_value"


@dataclass(frozen=True, slots=True)
class _Specimens:
    """The rows of a dataset, and the position of the image of each.

    Attributes:
        table: The requested columns.
        pieces: The number of the piece of each row.
        rows: The number of each row in its piece.
    """

    table: pa.Table
    pieces: Numbers
    rows: Numbers


def _argument(name: str) -> Any:
    """A read-only attribute for an argument, as in bioscan-dataset."""
    return property(lambda self: getattr(self.items, name))


def _set(name: str) -> Any:
    """An attribute for an argument, which can be set."""
    return _argument(name).setter(lambda self, value: setattr(self.items, name, value))


class BIOSCAN5M(torch.utils.data.Dataset[Any]):
    """BIOSCAN-5M as a map-style dataset; scripts for bioscan-dataset only need another import.

        from bioscan5m_hf.torch import BIOSCAN5M

        train = BIOSCAN5M("bioscan-5m", split="train", target_type="genus")
        image, barcode, genus = train[0]

    It differs on purpose from the class of the same name in bioscan-dataset: rows are sorted by
    md5(processid) within each split; images are RGB, with their Exif orientation applied; missing
    text is an empty string, not NaN, so that ``default_collate`` accepts it; a place called "NA"
    keeps its name; nothing is downloaded; errors are a ``BioscanError``.

    In a ``DataLoader``, whole batches are read and decoded at once. Each worker opens files itself,
    whether it was forked or spawned.

    Args:
        root: A dataset folder of any format, a raw release, a repository of the Hub or a URL, as
            in ``load_dataset``; or the ``root`` of bioscan-dataset.
        split: A split, ``validation``, ``seen``, ``unseen``, ``all``, or several joined by ``+``.
        modality: ``image``, ``dna`` or any column of the metadata, one or several.
        image_package: The package of the images, such as ``cropped_256``.
        reduce_repeated_barcodes: Keep one specimen of each barcode, chosen among the records of all
            splits before the split is selected, as bioscan-dataset does. For a folder converted
            with ``--where``, ``--per-taxon`` or ``--sample``, the first specimen that it has is
            kept; for a folder without ``source_rows.npy``, the first by md5(processid).
        max_nucleotides: The length to which barcodes are cut; ``None`` to keep them whole.
        target_type: A rank, one or several; ``uri`` stands for ``dna_bin``.
        target_format: ``index`` (-1 for a missing label) or ``text``.
        output_format: ``tuple``, ``dict`` or ``dictionary``.
        transform: Applied to each image.
        dna_transform: Applied to each barcode.
        target_transform: Applied to each target.
        download: Explain how to get a missing release; nothing is downloaded.
        size: Scale images while they are decoded, so that the shorter side has this many pixels.
        center_crop: Keep the ``size`` x ``size`` pixels in the middle.
        image_output: ``pil``, ``numpy`` or ``torch`` (uint8, 3 x height x width), before
            ``transform``.
        revision: A branch, tag or commit of a repository.
        storage_options: Options for opening a remote file system, such as a token.
        cache_dir: The cache in which the index of a raw release is stored.

    Raises:
        UnknownName: A split, modality, target, package or format does not exist.
        ReleaseNotFound: There are no data at ``root``.
        DataError: The data are damaged.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the arguments of bioscan-dataset
        self,
        root: str | os.PathLike[str],
        split: str | None = "train",
        modality: str | Iterable[str] = ("image", "dna"),
        image_package: str = "cropped_256",
        reduce_repeated_barcodes: bool = False,
        max_nucleotides: int | None = 660,
        target_type: str | Iterable[str] = "species",
        target_format: str = "index",
        output_format: str = "tuple",
        transform: Transform = None,
        dna_transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        *,
        size: int | None = None,
        center_crop: bool = False,
        image_output: str = "pil",
        revision: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.root, self.image_package = os.fspath(root), image_package
        self.split = {"validation": "val"}.get(split or "", split)
        found = {"revision": revision, "options": storage_options, "cache_dir": cache_dir}
        data = open_root(root, found, download=download)
        self.items = Items(
            data, modality, target_type, target_format, output_format, max_nucleotides,
            transform, dna_transform, target_transform, Decoder(size, center_crop, image_output),
        )  # fmt: skip
        self.configuration, self.splits = choose(data, image_package, split, image=self.items.image)
        self.reduce_repeated_barcodes = reduce_repeated_barcodes
        self.kept: Keys | None = None
        if reduce_repeated_barcodes:
            self.kept = first_of_each_barcode(data, max_nucleotides)
        self._forget()

    modality = _argument("modality")
    target_type = _argument("target_type")
    target_format = _argument("target_format")
    output_format = _argument("output_format")
    max_nucleotides = _argument("max_nucleotides")
    transform = _set("transform")
    dna_transform = _set("dna_transform")
    target_transform = _set("target_transform")

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {self.root}"]
        lines += [f"split: {self.split!r}", *self.items.repr_lines]
        if self.items.image:
            lines.insert(4, f"image_package: {self.image_package!r}")
        if self.reduce_repeated_barcodes:
            lines.insert(4 + self.items.image, "reduce_repeated_barcodes: True")
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])

    def _forget(self) -> None:
        self._pieces: list[Piece] | None = None
        self._specimens: _Specimens | None = None
        self._metadata: pd.DataFrame | None = None
        self._readers: dict[int, ImageReader] = {}
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # Workers read rows again. ``kept`` is sent to them, because choosing needs all metadata.
        left_out = ("_pieces", "_specimens", "_metadata", "_readers", "_process")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __len__(self) -> int:
        return int(self._held().table.num_rows)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The items of some rows, read and decoded together; a ``DataLoader`` calls this."""
        held = self._held()
        count = held.table.num_rows
        numbers = np.array([operator.index(index) for index in indices], np.int64)
        numbers[numbers < 0] += count
        if ((numbers < 0) | (numbers >= count)).any():
            raise IndexError(f"an index is out of range: there are {count:,} specimens")
        images: list[bytes | memoryview] = []
        if self.items.image:
            pieces = held.pieces[numbers]
            readers = self._opened(pieces)
            images = read_images(readers, pieces, held.rows[numbers])
        return self.items.make(held.table.take(pa.array(numbers)), images, together=True)

    def _opened(self, pieces: Numbers) -> dict[int, ImageReader]:
        if self._process != os.getpid():
            # A forked process shares file positions and connections, so it opens its own.
            self._readers, self._process = {}, os.getpid()
            if HAVE_OPENCV:
                import cv2

                # OpenCV's threads do not survive a fork, and workers use all processors already.
                cv2.setNumThreads(0)
        assert self._pieces is not None, "they were found with the rows"
        for number in np.unique(pieces).tolist():
            if number not in self._readers:
                self._readers[number] = self._pieces[number].open_images()
        return self._readers

    def _held(self) -> _Specimens:
        if self._specimens is None:
            self._specimens = self._read(self.items.columns)
        return self._specimens

    def _read(self, columns: Sequence[str]) -> _Specimens:
        self._pieces = self.items.pieces(self.configuration, self.splits)
        choice = Choice(tuple(columns))
        tables: list[pa.Table] = []
        rows: list[Numbers] = []
        counts: list[int] = []
        for piece in self._pieces:
            read = [_wide(table) for table in piece.read(choice)]
            counts.append(sum(table.num_rows for table in read))
            rows.append(np.arange(counts[-1]))
            tables += read
        if not tables:
            empty = pa.schema([pa.field(name, pa.large_string()) for name in columns]).empty_table()
            return _Specimens(empty, np.empty(0, np.int64), np.empty(0, np.int64))
        table = pa.concat_tables(tables).combine_chunks()
        found = _Specimens(table, np.repeat(np.arange(len(counts)), counts), np.concatenate(rows))
        if self.kept is None:
            return found
        chosen = np.flatnonzero(np.isin(keys_of(table[PROCESSID]), self.kept))
        return _Specimens(table.take(pa.array(chosen)), found.pieces[chosen], found.rows[chosen])

    @property
    def metadata(self) -> pd.DataFrame:
        """The metadata of the specimens, with the same columns as in bioscan-dataset.

        Besides upstream's columns there are ``<rank>_index`` for each rank, and ``image_path``.
        """
        if self._metadata is None:
            names = [name for name in column_names() if name not in _NOT_IN_METADATA]
            # Vocabularies first: they make the index of all records, which then serves the rows.
            found = {rank: self.items.vocabulary(rank).names for rank in RANKS}
            table = self._read(names).table
            frame = table.to_pandas()
            frame[BARCODE] = frame[BARCODE].str[: self.items.max_nucleotides]
            frame[_MEASURE] = frame[_MEASURE].astype("float64")
            for rank in RANKS:
                codes = self.items.indices(table[rank], rank)
                frame[rank] = pd.Categorical.from_codes(codes, pd.Index(found[rank], dtype=object))
                frame[rank + INDEX] = codes
            for name in ("country", "province_state"):
                frame[name] = frame[name].astype("category")
            frame[IMAGE_PATH] = image_paths(table)
            self._metadata = frame
        return self._metadata

    def index2label(self, index: Any, column: str | None = None) -> Any:
        """Convert numbers to labels; a negative number becomes an empty string.

        Args:
            index: A number, or several.
            column: The rank; by default the only target.

        Returns:
            The label, or an array of labels.

        Raises:
            TypeError: ``index`` is a string.
            UsageError: There are several targets, and no rank is named.
        """
        names = self.items.vocabulary(self._column(column)).names
        if isinstance(index, str):
            raise TypeError(f"index must be a number, not {index!r}: did you mean label2index?")
        index = np.asarray(index)
        if not index.ndim:
            # A single target taken from a batch is a tensor, which becomes an array without axes.
            return "" if index < 0 else names[int(index)]
        found = ["" if each < 0 else names[each] for each in index.tolist()]
        return np.array(found, dtype=object)

    def label2index(self, label: Any, column: str | None = None) -> Any:
        """Convert labels to numbers; a missing or empty label becomes -1.

        Args:
            label: A label, or several.
            column: The rank; by default the only target.

        Returns:
            The number, or an array of numbers.

        Raises:
            TypeError: A label is not a string.
            KeyError: No record has this label.
            UsageError: There are several targets, and no rank is named.
        """
        rank = self._column(column)
        numbers = {name: n for n, name in enumerate(self.items.vocabulary(rank).names)}

        def number(each: Any) -> int:
            if each is None or each == "" or each != each:  # noqa: PLR0124 - not a number
                return -1
            if not isinstance(each, str):
                raise TypeError(f"label must be text, not {each!r}: did you mean index2label?")
            if each not in numbers:
                raise KeyError(f"label {each!r} is not among those of {rank}")
            return numbers[each]

        if isinstance(label, str) or not hasattr(label, "__len__"):
            return number(label)
        return np.array([number(each) for each in label], dtype=np.int64)

    def _column(self, column: str | None) -> str:
        if column is not None:
            return column
        targets = tuple(self.items.target_type)
        if len(targets) != 1:
            raise UsageError(
                "target_type does not have exactly one target", fix="name the rank with column="
            )
        return targets[0]


def _wide(table: pa.Table) -> pa.Table:
    """Cast text to ``large_string``, so that a column can have more than 2 GiB of text."""
    fields = [
        field.with_type(pa.large_string()) if pa.types.is_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
