"""Write images into one folder for each taxon, the layout that image classifiers read."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from conversion.export.base import ExportOptions, ExportResult, Specimens, Target

# Characters of taxon names that stay unchanged. Others, such as slashes, could lead to another
# folder.
_PLAIN: Final = " ()[],'&+=~-_."


class ImageFolder(Target):
    """Folders of images, ``<taxon>/<processid>.jpg``, in a folder for each split if several."""

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
    """Return the folder name of a taxon.

    Args:
        taxon: A name such as ``Megaselia abdita``; characters that a folder name cannot contain
            are percent-encoded, such as ``%2F``.
    """
    name = "".join(sign if sign.isalnum() else quote(sign, safe=_PLAIN) for sign in taxon)
    return name if name.strip(".") else name.replace(".", "%2E")
