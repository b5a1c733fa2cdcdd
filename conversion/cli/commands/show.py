"""``bioscan5m show``: show one specimen, its metadata and its photograph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.errors import OutputError, UsageError
from bioscan5m_hf.storage.path import absolute
from conversion.cli.command import command
from conversion.cli.parameters import DATA
from conversion.pipeline.option import Option

if TYPE_CHECKING:
    from conversion.cli.console import Terminal


@command(
    "show",
    [
        "bioscan5m show bioscan-5m GMGMB061-20",
        "bioscan5m show bioscan-5m GMGMB061-20 --image GMGMB061-20.jpg",
        "bioscan5m show bioscan-5m GMGMB061-20 --package metadata --json",
    ],
    {
        "source": DATA,
        "processid": Option((), "the specimen", "PROCESSID", position=True, required=True),
        "package": Option(
            ("--package",),
            "the configuration to look in",
            "NAME",
            shown="cropped_256, or the first package that there is",
        ),
        "image": Option(("--image",), "write the photograph to this file", "FILE", absolute),
    },
    json=True,
    token=True,
)
def run(
    terminal: Terminal, *, source: str, processid: str, package: str | None, image: Path | None
) -> int:
    """Show a specimen."""
    import datasets

    from bioscan5m_hf import get
    from bioscan5m_hf.schema.columns import IMAGE_COLUMN
    from conversion.cli.console import make_table, shown
    from conversion.files.atomic import write_whole

    if image and os.path.lexists(image):
        raise OutputError("is there already", where=str(image), fix="choose another --image")
    with terminal.progress("looking for the specimen"):
        found = get(source, processid, package, columns=None)
    if IMAGE_COLUMN in found.column_names:
        found = found.cast_column(IMAGE_COLUMN, datasets.Image(decode=False))
    row = found[0]
    data = (row.pop(IMAGE_COLUMN, None) or {}).get("bytes")
    if image:
        if data is None:
            raise UsageError(f"{package} has no photographs", fix="leave --image out")
        write_whole(image, data)
    terminal.document(row)
    cells = [(name, shown(str(value))) for name, value in row.items() if value is not None]
    terminal.show(make_table(shown(processid), ("column", "value"), cells))
    if image and data:
        terminal.show(f"{image}: {len(data):,} bytes")
    return 0
