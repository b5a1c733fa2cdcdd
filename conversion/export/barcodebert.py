"""Write one csv for each split, with the columns that BarcodeBERT and BarcodeMAE read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from bioscan5m_hf.schema.vocabularies import Vocabulary
from conversion.export.base import ExportOptions, ExportResult, Specimens, Target

# The columns of the csv, and upstream's column for each of them.
_COLUMNS: Final = {
    "processid": "processid",
    "nucleotides": "dna_barcode",
    "phylum_name": "phylum",
    "class_name": "class",
    "order_name": "order",
    "family_name": "family",
    "subfamily_name": "subfamily",
    "genus_name": "genus",
    "species_name": "species",
    "bin_uri": "dna_bin",
}


class BarcodeBert(Target):
    """A folder with one csv for each split, named as upstream names the split.

    ``species_index`` numbers the species of all records in sorted order, as ``labels()`` does; it
    is -1 if the species is missing.
    """

    name = "barcodebert"

    def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
        """Write the files; a specimen without a barcode is left out and counted."""
        part.mkdir()
        species = specimens.vocabulary("species")
        result = ExportResult()
        for split in options.splits:
            writer: pcsv.CSVWriter | None = None
            for table in specimens.tables(split, tuple(_COLUMNS.values())):
                rows = _rows(table, species)
                result.leave_out("no barcode", table.num_rows - rows.num_rows)
                if writer is None:
                    writer = pcsv.CSVWriter(
                        part / f"{split.name}.csv",
                        rows.schema,
                        write_options=pcsv.WriteOptions(quoting_style="needed"),
                    )
                    result.files += 1
                writer.write_table(rows)
                result.written += rows.num_rows
            if writer is not None:
                writer.close()
        return result


def _rows(table: pa.Table, species: Vocabulary) -> pa.Table:
    table = table.filter(pc.fill_null(pc.not_equal(table["dna_barcode"], ""), False))
    columns = {name: table[column] for name, column in _COLUMNS.items()}
    columns["species_index"] = species.encode(table["species"])
    return pa.table(columns)
