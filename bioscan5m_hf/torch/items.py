"""Turn rows into the items of a dataset, with the names and order of bioscan-dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.types as pat

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, RANKS, Split, column_names
from bioscan5m_hf.schema.configurations import Configuration
from bioscan5m_hf.schema.vocabularies import MISSING, Vocabulary
from bioscan5m_hf.sources.base import Data
from bioscan5m_hf.torch.decoder import Decoder

BARCODE: Final = "dna_barcode"
BARCODE_NAMES: Final = ("dna", BARCODE, "barcode")
IMAGE_PATH: Final = "image_path"
INDEX: Final = "_index"
MAX_LENGTH: Final = 660
"""The length to which barcodes are cut by default."""

_PATH_COLUMNS: Final = ("split", "chunk", "processid")

Transform = Callable[[Any], Any] | None


def _listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _targets(names: str | Iterable[str]) -> list[str]:
    return ["dna_bin" if name == "uri" else name for name in _listed(names)]


@dataclass
class Items:
    """Makes items; its attributes are the arguments of ``BIOSCAN5M`` that describe items.

    Raises:
        UnknownName: There is no such modality, target or format.
        UsageError: There is a transform of targets but no target, or ``max_nucleotides`` is wrong.
    """

    data: Data
    modality: Iterable[str]
    target_type: Iterable[str]
    target_format: str
    output_format: str
    max_nucleotides: int | None
    transform: Transform
    dna_transform: Transform
    target_transform: Transform
    decoder: Decoder
    _vocabularies: dict[str, Vocabulary] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.modality = names = _listed(self.modality)
        self.target_type = targets = _targets(self.target_type)
        if self.output_format == "dictionary":
            self.output_format = "dict"
        known = [IMAGE_COLUMN, *BARCODE_NAMES, *column_names(), IMAGE_PATH]
        known += [rank + INDEX for rank in RANKS]
        checks: list[tuple[str, Iterable[str], Sequence[str]]] = [
            ("modality", names, list(dict.fromkeys(known))),
            ("target", targets, RANKS),
            ("target_format", [self.target_format], ("index", "text")),
            ("output_format", [self.output_format], ("tuple", "dict")),
        ]
        for kind, given, valid in checks:
            for name in given:
                if name not in valid:
                    raise UnknownName.of(kind, str(name), valid)
        if not targets and self.target_transform is not None:
            raise UsageError("target_transform is given and target_type is empty")
        length = self.max_nucleotides
        if length is not None and (not isinstance(length, int) or length < 1):
            raise UsageError(f"max_nucleotides={length!r} is not a positive whole number")

    def __getstate__(self) -> dict[str, Any]:
        # Workers read the vocabularies themselves, which is faster than sending them.
        return {**self.__dict__, "_vocabularies": {}}

    @property
    def image(self) -> bool:
        """Whether images are requested."""
        return IMAGE_COLUMN in self.modality

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns needed for items, without images, in the order of the schema."""
        names: set[str] = {"processid", *self.target_type}
        for name in self.modality:
            if name in BARCODE_NAMES:
                names.add(BARCODE)
            elif name == IMAGE_PATH:
                names.update(_PATH_COLUMNS)
            else:
                names.add(name.removesuffix(INDEX))
        return tuple(name for name in column_names() if name in names)

    def pieces(self, configuration: Configuration, splits: Iterable[Split]) -> list[Piece]:
        """The pieces of some splits.

        Args:
            configuration: The configuration.
            splits: The splits, in upstream's order.
        """
        splits = list(splits)
        labels = any(name.endswith(INDEX) for name in self.modality)
        if self.target_format == "index" or self.output_format == "dict":
            labels |= bool(self.target_type)
        data = self.data.wanting(splits, labels=labels)
        return [piece for split in splits for piece in data.pieces(configuration, split)]

    def vocabulary(self, rank: str) -> Vocabulary:
        """The vocabulary of a rank; the first call reads it."""
        if rank not in self._vocabularies:
            self._vocabularies[rank] = self.data.vocabulary(rank)
        return self._vocabularies[rank]

    @property
    def repr_lines(self) -> list[str]:
        """Lines for ``repr``, those of bioscan-dataset."""
        cut = any(name in BARCODE_NAMES for name in self.modality)
        lines: list[tuple[str, Any, bool]] = [
            ("modality", self.modality, True),
            ("max_nucleotides", self.max_nucleotides, cut and self.max_nucleotides != MAX_LENGTH),
            ("target_type", self.target_type, True),
            ("target_format", self.target_format, bool(self.target_type)),
            ("output_format", self.output_format, True),
            ("transform", self.transform, self.transform is not None),
            ("dna_transform", self.dna_transform, cut and self.dna_transform is not None),
            ("target_transform", self.target_transform, self.target_transform is not None),
        ]
        return [f"{name}: {value!r}" for name, value, shown in lines if shown]

    def make(
        self, table: pa.Table, images: Sequence[bytes | memoryview], *, together: bool
    ) -> list[Any]:
        """Make the items of some rows.

        Args:
            table: Rows with the columns of ``columns``.
            images: The bytes of the image of each row; empty if images are not requested.
            together: Whether the items become one batch.
        """
        named: list[tuple[str, list[Any]]] = []
        for name in self.modality:
            if name == IMAGE_COLUMN:
                named.append((name, self._images(table, images, together)))
            else:
                named.append((name, self._modality(name, table)))
        text = {rank: plain(table[rank]) for rank in self.target_type}
        if self.target_format == "index":
            targets = [self.indices(table[rank], rank) for rank in self.target_type]
        else:
            targets = list(text.values())
        if self.output_format == "dict":
            for rank, values in text.items():
                named += [(rank, values), (rank + INDEX, self.indices(table[rank], rank))]
        named.append(("target", self._targets(targets, table.num_rows)))
        rows = zip(*(values for _, values in named), strict=True)
        if self.output_format == "tuple":
            return list(rows)
        names = [name for name, _ in named]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _targets(self, targets: list[list[Any]], count: int) -> list[Any]:
        if not targets:
            return [None] * count
        made = targets[0] if len(targets) == 1 else list(zip(*targets, strict=True))
        return [self.target_transform(each) for each in made] if self.target_transform else made

    def _images(
        self, table: pa.Table, images: Sequence[bytes | memoryview], together: bool
    ) -> list[Any]:
        names = [f"{processid}.jpg" for processid in table["processid"].to_pylist()]
        if self.transform is None:
            return self.decoder.decode(images, names, together=together)
        pairs = zip(images, names, strict=True)
        return [self.transform(self.decoder(image, name)) for image, name in pairs]

    def _modality(self, name: str, table: pa.Table) -> list[Any]:
        if name in BARCODE_NAMES:
            barcodes = [text[: self.max_nucleotides] for text in plain(table[BARCODE])]
            return list(map(self.dna_transform, barcodes)) if self.dna_transform else barcodes
        if name == IMAGE_PATH:
            return image_paths(table)
        if name.endswith(INDEX):
            rank = name.removesuffix(INDEX)
            return self.indices(table[rank], rank)
        return plain(table[name])

    def indices(self, values: pa.ChunkedArray, rank: str) -> list[int]:
        """The numbers of labels; -1 for a missing label."""
        vocabulary = self.vocabulary(rank)
        found = [vocabulary.index(value) for value in values.to_pylist()]
        return [MISSING if index is None else index for index in found]


def plain(values: pa.ChunkedArray) -> list[Any]:
    """Replace nulls: missing text becomes an empty string, a missing number becomes NaN."""
    if pat.is_string(values.type) or pat.is_large_string(values.type):
        return ["" if value is None else value for value in values.to_pylist()]
    return [float("nan") if value is None else float(value) for value in values.to_pylist()]


def image_paths(table: pa.Table) -> list[str]:
    """The path of the image of each row in an unpacked release, from the folder of the package."""
    rows = zip(*(plain(table[name]) for name in _PATH_COLUMNS), strict=True)
    return [
        "/".join(filter(None, (split, chunk, f"{processid}.jpg")))
        for split, chunk, processid in rows
    ]
