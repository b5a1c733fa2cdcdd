"""Define the interface of an export target: its options, rows and result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from bioscan5m_hf.query.choice import Choice, choose_columns
from bioscan5m_hf.query.filters import Filter
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import Configuration
from bioscan5m_hf.schema.vocabularies import Vocabulary
from bioscan5m_hf.sources.base import Data
from bioscan5m_hf.sources.matching import matching_pieces

Progress = Callable[[int], None]
"""Called with the number of specimens written since the beginning."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        output: The file or folder to write; it must not exist yet.
        splits: The splits, in the order in which they are written.
        condition: The condition for rows; ``None`` for all.
        limit: How many specimens of each split are written at most; ``None`` for all.
        rank: The rank whose taxa name the folders, for targets that have folders.
    """

    output: Path
    splits: tuple[Split, ...]
    condition: Filter | None = None
    limit: int | None = None
    rank: str = "species"


@dataclass(slots=True)
class ExportResult:
    """The result of an export.

    Attributes:
        written: How many specimens were written; a specimen in two groups counts twice.
        left_out: How many specimens were left out, by reason.
        files: How many files were written.
        notes: Further notes for the user.
    """

    written: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    files: int = 0
    notes: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, count: int) -> None:
        """Count specimens that were left out."""
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count


class Specimens:
    """The specimens of one source."""

    def __init__(
        self, data: Data, configuration: Configuration, options: ExportOptions, progress: Progress
    ) -> None:
        self._data = data
        self._configuration = configuration
        self._options = options
        self._progress = progress
        self._count = 0
        self.available = frozenset(data.splits(configuration))

    def tables(self, split: Split, columns: tuple[str, ...]) -> Iterator[pa.Table]:
        """Yield the chosen rows of a split, in the order of md5(processid), in tables.

        Args:
            split: The split; it has no rows if the source lacks it.
            columns: The columns; include ``image`` for images.
        """
        if split not in self.available:
            return
        names = choose_columns(columns, image=self._configuration.package is not None)
        choice = Choice(names, self._options.condition)
        left = self._options.limit
        condition = self._options.condition
        for piece in matching_pieces(self._data, self._configuration, split, condition):
            for table in piece.read(choice):
                chosen = table if left is None else table.slice(0, left)
                if left is not None:
                    left -= chosen.num_rows
                if chosen.num_rows:
                    yield chosen.select(columns)
                    self._count += chosen.num_rows
                    self._progress(self._count)
                if left == 0:
                    return

    def vocabulary(self, rank: str) -> Vocabulary:
        """The distinct values of a rank over all records."""
        return self._data.vocabulary(rank)


class Target(ABC):
    """One output format of an export.

    Attributes:
        name: Its name on the command line.
        image: Whether it needs images.
    """

    name: ClassVar[str]
    image: ClassVar[bool] = False

    @abstractmethod
    def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
        """Write the specimens.

        Raises:
            BioscanError: The source is flawed.
            OSError: The output cannot be written.
        """
