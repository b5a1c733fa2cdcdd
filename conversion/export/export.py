"""Export specimens to one of the targets, atomically."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.schema.configurations import METADATA, configuration_named
from bioscan5m_hf.schema.split_expressions import parse_split
from bioscan5m_hf.storage.disk import output_error
from conversion.export.barcodebert import BarcodeBert
from conversion.export.base import ExportOptions, ExportResult, Progress, Specimens, Target
from conversion.export.clibd import Clibd
from conversion.export.fasta import Fasta
from conversion.export.imagefolder import ImageFolder
from conversion.files.atomic import sync_folder

if TYPE_CHECKING:
    from bioscan5m_hf.sources.base import Data

TARGETS: Final[dict[str, type[Target]]] = {
    target.name: target for target in (Fasta, BarcodeBert, ImageFolder, Clibd)
}
"""Every target, by its name."""


def export(
    data: Data,
    target: Target,
    package: str,
    splits: str,
    options: ExportOptions,
    progress: Progress = lambda _: None,
) -> ExportResult:
    """Export specimens.

    Args:
        data: A dataset folder or a raw release.
        target: The target, which decides the format.
        package: The package whose images are written, for targets with images.
        splits: A split expression such as ``train`` or ``seen``; ``all`` for all splits.
        options: What to export, and how; its ``splits`` are replaced by those of the expression.
        progress: Called with the number of specimens written so far.

    Raises:
        UnknownName: There is no such package or split.
        ReleaseNotFound: There is no data of a requested split.
        OutputError: The output already exists, or cannot be written.
    """
    _require_absent(options.output)
    configuration = configuration_named(package if target.image else METADATA, data.packages)
    terms = parse_split(splits, configuration, data.splits(configuration))
    chosen = replace(options, splits=tuple(term.split for term in terms))
    specimens = Specimens(data, configuration, chosen, progress)
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(options.output.parent) as made:
            part = made / options.output.name
            result = target.write(specimens, chosen, part)
            # Another export may have finished in the meantime.
            _require_absent(options.output)
            part.rename(options.output)
            sync_folder(options.output.parent)
    except OSError as error:
        raise output_error(error, options.output) from error
    return result


def _require_absent(output: Path) -> None:
    if os.path.lexists(output):
        raise OutputError("is there already", where=str(output), fix="choose another --output")
