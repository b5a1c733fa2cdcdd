"""What came of a conversion."""

from __future__ import annotations

from dataclasses import dataclass

from conversion.folder.manifest import Manifest
from conversion.pipeline.outcome import Outcome
from conversion.rejects import Finding


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a conversion.

    Attributes:
        manifest: What the dataset folder holds now.
        made: How many shards this run made; the others were there already.
        outcomes: What came of each package.
        bad_rows: Rows of the metadata that were left out.
        strays: Files in the archives that are not images.
    """

    manifest: Manifest
    made: int
    outcomes: tuple[Outcome, ...]
    bad_rows: tuple[Finding, ...]
    strays: int
