"""Write images into one folder for each taxon, as image classifiers read them."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from conversion.export.base import ExportOptions, ExportResult, Specimens, Target

# What taxa are written with stays as it is; what could end or leave a folder's name does not.
_PLAIN: Final = " ()[],'&+=~-_."


class ImageFolder(Target):
    """Folders of images: ``<taxon>/<processid>.jpg``, below the split where there are several."""

    name = "imagefolder"
    image = True

    def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
        """Write the images; a specimen without a taxon of the rank is left out and counted."""
        part.mkdir()
        result = ExportResult()
        made: set[Path] = set()
        columns = (IMAGE_COLUMN, "processid", options.rank)
        for split in options.splits:
            top = part / split.name if len(options.splits) > 1 else part
            for table in specimens.tables(split, columns):
                images = table[IMAGE_COLUMN].combine_chunks().field("bytes")
                names = zip(*(table[name].to_pylist() for name in columns[1:]), strict=True)
                for image, (processid, taxon) in zip(images, names, strict=True):
                    if not taxon:
                        result.leave_out(f"no {options.rank}", 1)
                        continue
                    folder = top / folder_name(taxon)
                    if folder not in made:
                        folder.mkdir(parents=True, exist_ok=True)
                        made.add(folder)
                    (folder / f"{quote(processid, safe=_PLAIN)}.jpg").write_bytes(image.as_buffer())
                    result.written += 1
                    result.files += 1
        return result


def folder_name(taxon: str) -> str:
    """The name of the folder of a taxon.

    Args:
        taxon: Such as ``Megaselia abdita``; signs that a folder's name cannot hold are written as
            ``%2F`` and the like.
    """
    name = "".join(sign if sign.isalnum() else quote(sign, safe=_PLAIN) for sign in taxon)
    return name if name.strip(".") else name.replace(".", "%2E")
