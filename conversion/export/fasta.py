"""Write barcodes as FASTA, one record for each specimen."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from conversion.export.base import ExportOptions, ExportResult, Specimens, Target

_WIDTH: Final = 80
_DESCRIBED: Final = ("dna_bin", "order", "family", "genus", "species")
_COLUMNS: Final = ("processid", "dna_barcode", *_DESCRIBED)


class Fasta(Target):
    """A FASTA file.

    The id of a record is the processid, which has no spaces. Its description has the BIN and the
    taxonomy as ``key=value``, joined by semicolons; missing values are left out.
    """

    name = "fasta"

    def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
        """Write the barcodes; a specimen without one is left out and counted."""
        result = ExportResult(files=1)
        with part.open("x", encoding="utf-8", newline="\n") as file:
            for split in options.splits:
                for table in specimens.tables(split, _COLUMNS):
                    rows = zip(*(table[name].to_pylist() for name in _COLUMNS), strict=True)
                    for processid, barcode, *values in rows:
                        if not barcode:
                            result.leave_out("no barcode", 1)
                            continue
                        file.write(_record(processid, barcode, values))
                        result.written += 1
        return result


def _record(processid: str, barcode: str, values: list[str | None]) -> str:
    described = ";".join(
        f"{name}={' '.join(value.split())}"
        for name, value in zip(_DESCRIBED, values, strict=True)
        if value
    )
    lines = [barcode[start : start + _WIDTH] for start in range(0, len(barcode), _WIDTH)]
    return "\n".join([f">{processid} {described}".rstrip(), *lines, ""])
