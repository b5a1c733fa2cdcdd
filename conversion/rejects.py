"""Record the specimens and images that were left out, with reasons, in ``rejects.parquet``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.errors import ForeignFolder
from bioscan5m_hf.release.metadata.read import BadRow
from bioscan5m_hf.storage.inside import require_regular
from conversion.files.atomic import AtomicFile, Written

REJECTS_NAME: Final = "rejects.parquet"

REJECTS_SCHEMA: Final = pa.schema(
    [
        pa.field(name, pa.string())
        for name in ("package", "processid", "split", "archive", "member", "reason", "detail")
    ]
)

NO_ROW: Final = "no row in the metadata"
"""The detail of a finding about an image whose specimen is in no split."""

# The reasons for leaving out a specimen. Findings with other reasons are about additional images.
SPECIMEN_REASONS: Final = frozenset(
    {
        "missing-image",
        "conflicting-images",
        "unreadable",
        "bad-crc",
        "empty",
        "oversized",
        "not-a-jpeg",
        "truncated-jpeg",
        "undecodable",
        "other-size",
        "missing-box",
        "bad-box",
        "box-mismatch",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A specimen or an image that is flawed or does not fit.

    Attributes:
        reason: A short constant such as ``missing-image``.
        processid: The specimen, if it is known.
        split: Upstream's name of its split, if that is known.
        archive: The archive, folder or metadata file it was found in.
        member: The name of the image in it, if there is one.
        detail: What was found, as a phrase.
    """

    reason: str
    processid: str | None
    split: str | None
    archive: str | None
    member: str | None
    detail: str

    @property
    def costs_specimen(self) -> bool:
        """Whether a specimen is left out because of it."""
        return self.reason in SPECIMEN_REASONS


def bad_row_finding(bad: BadRow, label: str) -> Finding:
    """Make a finding of a bad row of the metadata."""
    detail = f"row {bad.row}: {bad.detail}"
    return Finding(bad.reason, bad.processid, bad.split, label, None, detail)


def write_rejects(path: Path, findings: Iterable[tuple[str | None, Finding]]) -> Written:
    """Write the record of what was left out.

    Args:
        path: The file.
        findings: The findings, each with its package; ``None`` for rows of the metadata.

    Returns:
        Length and digest of the file.
    """
    rows = [
        {name: getattr(finding, name, None) for name in REJECTS_SCHEMA.names} | {"package": package}
        for package, finding in findings
    ]
    with AtomicFile(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, REJECTS_SCHEMA), file, compression="zstd")
        return file.commit()


def read_rejects(path: Path) -> list[tuple[str | None, Finding]]:
    """Read the record; the result is empty if there is no such file.

    Raises:
        ForeignFolder: It cannot be read.
    """
    if not os.path.lexists(path):
        return []
    try:
        rows = pq.read_table(require_regular(path), schema=REJECTS_SCHEMA).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ForeignFolder(
            f"the record of what was left out cannot be read ({error})",
            where=str(path),
            fix="get this file back; without it, convert forgets what earlier runs have left out",
        ) from error
    return [(row.pop("package"), Finding(**row)) for row in rows]
