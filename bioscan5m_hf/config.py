"""Define the options of the builder, and name its cache folder by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import datasets

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.query.filters import Filter, Where, canonical_where
from bioscan5m_hf.sources.base import check_on_error
from bioscan5m_hf.storage.identity import digest_of

VERSION: Final = datasets.Version("1.0.0")
"""To be raised when the same options give other rows than before, so that no old cache is used."""


@dataclass(eq=False)
class Bioscan5MConfig(datasets.BuilderConfig):  # type: ignore[misc]
    """The options of the builder besides the name of a configuration.

    Attributes:
        columns: The requested columns; all by default.
        where: A condition on rows, as Parquet filters or as an Arrow expression.
        class_labels: The ranks whose columns become ``ClassLabel``.
        max_nucleotides: The length to which barcodes are cut; ``None`` to keep them whole.
        unique_barcodes: Keep one specimen for each barcode.
        splits: The splits to serve; by default all that have data.
        among: The splits among which ``unique_barcodes`` chooses specimens; by default ``splits``.
        on_error: What to do about a specimen whose image is missing or flawed in a raw release:
            ``"stop"``, or ``"skip"`` it and warn.
    """

    columns: list[str] | None = None
    where: Where | None = None
    class_labels: list[str] | None = None
    max_nucleotides: int | None = None
    unique_barcodes: bool = False
    splits: list[str] | None = None
    among: list[str] | None = None
    on_error: str = "stop"

    def check(self) -> None:
        """Check the options.

        Raises:
            UnknownName: The value of an option does not exist.
            UsageError: The value of an option has a wrong type or is out of range.
        """
        check_on_error(self.on_error)
        length = self.max_nucleotides
        if length is not None and (not isinstance(length, int) or length < 1):
            raise UsageError(f"max_nucleotides={length!r} is not a positive whole number")
        Filter.of(self.where)

    def create_config_id(
        self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None
    ) -> str:
        """Name the folder of the cache by everything that decides the rows.

        Args:
            config_kwargs: The given options, which are attributes of this object already.
            custom_features: Features that were given to the builder.
        """
        del config_kwargs  # The location of the data does not matter; the hash is of their content.
        options = self._changed()
        if custom_features is not None:
            options["features"] = repr(custom_features.to_dict())
        if not options:
            return str(self.name)
        return f"{self.name}-{digest_of(*(f'{name}={options[name]}' for name in sorted(options)))}"

    def _changed(self) -> dict[str, str]:
        """The options that differ from the defaults, as texts that are equal for equal rows."""
        names = set(self.columns or ())
        options = {
            "columns": None if self.columns is None else sorted(map(str, names)),
            "where": canonical_where(self.where),
            "class_labels": sorted(map(str, self.class_labels or ())),
            "max_nucleotides": self.max_nucleotides,
            "unique_barcodes": self.unique_barcodes,
            "splits": None if self.splits is None else sorted(self.splits),
            "among": None if self.among is None else sorted(self.among),
            "on_error": None if self.on_error == "stop" else self.on_error,
        }
        return {name: repr(value) for name, value in options.items() if value}

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Bioscan5MConfig)
            and (self.name, self._changed()) == (other.name, other._changed())
        )

    __hash__ = None  # type: ignore[assignment]
