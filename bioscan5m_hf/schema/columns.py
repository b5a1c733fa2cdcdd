"""Declare the columns, ranks and splits once, so that everything else is derived from them.

The Arrow schema, the ``datasets`` features, the card, the choices of the command line and the
documentation are derived from this module. Names, order and meaning are upstream's (the header of
``BIOSCAN_5M_Insect_Dataset_metadata.csv``).
"""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import UnknownName

if TYPE_CHECKING:
    # Importing Arrow takes a third of a second, and the help of the command line needs only names.
    import pyarrow as pa
    from datasets import Features


class Kind(enum.Enum):
    """The type of the values of a column; its value is the name of the type in ``datasets``."""

    STRING = "string"
    FLOAT = "float64"
    INTEGER = "int64"
    SMALL_INTEGER = "int8"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the same name."""
        import pyarrow as pa

        return pa.type_for_alias(self.value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of upstream's metadata.

    Attributes:
        name: Upstream's name, unchanged.
        kind: The type of its values.
        meaning: One line for the card and for ``help()``.
        required: Whether a row without a value is an error.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """One partition of the specimens, as upstream divides them.

    Attributes:
        name: Upstream's name, as in the column ``split`` and in image paths.
        published: The name of the split in a dataset folder and on the Hub.
        partition: The archive group that holds its images: ``pretrain``, ``train`` or ``eval``.
        chunk_digits: How many hex digits of md5(processid) name the folder of an image; 0 if images
            lie directly in the folder of the split.
        meaning: One line for the card.
    """

    name: str
    published: str
    partition: str
    chunk_digits: int
    meaning: str


COLUMNS: Final[tuple[Column, ...]] = (
    Column("processid", Kind.STRING, "BOLD's unique id of the record", required=True),
    Column("sampleid", Kind.STRING, "the collector's id of the specimen"),
    Column("taxon", Kind.STRING, "the most specific taxon that is known"),
    Column("phylum", Kind.STRING, "phylum, Arthropoda throughout"),
    Column("class", Kind.STRING, "class, such as Insecta or Arachnida"),
    Column("order", Kind.STRING, "order, such as Diptera, the flies"),
    Column("family", Kind.STRING, "family, such as Chironomidae"),
    Column("subfamily", Kind.STRING, "subfamily, such as Orthocladiinae"),
    Column("genus", Kind.STRING, "genus, the first word of a species' name"),
    Column("species", Kind.STRING, "species: a binomial, or a provisional name"),
    Column("dna_bin", Kind.STRING, "Barcode Index Number (BIN), a cluster of like barcodes"),
    Column("dna_barcode", Kind.STRING, "nucleotides of the COI barcode, about 650 bases"),
    Column("country", Kind.STRING, "country where it was collected"),
    Column("province_state", Kind.STRING, "province or state where it was collected"),
    Column("coord-lat", Kind.FLOAT, "latitude, WGS 84 decimal degrees"),
    Column("coord-lon", Kind.FLOAT, "longitude, WGS 84 decimal degrees"),
    Column("image_measurement_value", Kind.INTEGER, "pixels of the organism in the original"),
    Column("area_fraction", Kind.FLOAT, "area of the bounding box / area of the original"),
    Column("scale_factor", Kind.FLOAT, "shorter side of the crop / 256"),
    Column("inferred_ranks", Kind.SMALL_INTEGER, "at which ranks the label is inferred"),
    Column("split", Kind.STRING, "partition, under upstream's own name", required=True),
    Column("index_bioscan_1M_insect", Kind.INTEGER, "row of the specimen in BIOSCAN-1M"),
    Column("chunk", Kind.STRING, "folder of the image: leading hex digits of md5(processid)"),
)

RANKS: Final[tuple[str, ...]] = (
    "phylum",
    "class",
    "order",
    "family",
    "subfamily",
    "genus",
    "species",
    "dna_bin",
)

SPLITS: Final[tuple[Split, ...]] = (
    Split("pretrain", "pretrain", "pretrain", 2, "no species label; for self-supervised training"),
    Split("train", "train", "train", 1, "labelled to species; the species of val and test"),
    Split("val", "validation", "eval", 0, "the species of train"),
    Split("test", "test", "eval", 0, "the species of train"),
    Split("val_unseen", "val_unseen", "eval", 0, "species that train does not have"),
    Split("test_unseen", "test_unseen", "eval", 0, "species that train does not have"),
    Split("key_unseen", "key_unseen", "eval", 0, "reference specimens of the unseen species"),
    Split("other_heldout", "other_heldout", "eval", 1, "species without a scientific name"),
)

IMAGE_COLUMN: Final = "image"

_SPLIT_BY_NAME: Final = {split.name: split for split in SPLITS} | {
    split.published: split for split in SPLITS
}


def column_names() -> list[str]:
    """Upstream's column names, in upstream's order."""
    return [column.name for column in COLUMNS]


def split_named(name: str) -> Split:
    """Find a split by upstream's name or by its published name.

    Raises:
        UnknownName: There is no such split; the message lists them.
    """
    try:
        return _SPLIT_BY_NAME[name]
    except KeyError:
        raise UnknownName.of("split", name, _SPLIT_BY_NAME) from None


def features_json(*, image: bool) -> dict[str, dict[str, str]]:
    """The features in the JSON form of ``datasets``, made without importing ``datasets``."""
    declared = {column.name: {"dtype": column.kind.value, "_type": "Value"} for column in COLUMNS}
    return {IMAGE_COLUMN: {"_type": "Image"}, **declared} if image else declared


def image_type() -> pa.StructType:
    """The Arrow type of the column ``image``: a struct of bytes and path."""
    import pyarrow as pa

    return pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])


def arrow_schema(*, image: bool) -> pa.Schema:
    """The Arrow schema of a shard, which carries the features for ``datasets``."""
    import pyarrow as pa

    fields = [pa.field(column.name, column.kind.arrow) for column in COLUMNS]
    if image:
        fields.insert(0, pa.field(IMAGE_COLUMN, image_type()))
    info = {"info": {"features": features_json(image=image)}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})


def features(*, image: bool = True) -> Features:
    """The features of a configuration, for ``datasets``."""
    from datasets import Features

    return Features.from_dict(features_json(image=image))


def check_columns(found: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """Compare a header with upstream's.

    Returns:
        The missing columns, the columns that upstream does not have, and the columns that occur
        more than once. All three lists are empty if the header is right; order does not matter.
    """
    counts = Counter(found)
    expected = column_names()
    missing = [name for name in expected if name not in counts]
    extra = [name for name in counts if name not in expected]
    repeated = [name for name, count in counts.items() if count > 1]
    return missing, extra, repeated
