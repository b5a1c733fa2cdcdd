"""``bioscan5m card``: write the card of a dataset folder again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from conversion.cli.command import command
from conversion.cli.parameters import FOLDER
from conversion.pipeline.option import Option

if TYPE_CHECKING:
    from conversion.cli.console import Terminal


@command(
    "card",
    ["bioscan5m card bioscan-5m", "bioscan5m card bioscan-5m --name user/bioscan-5m"],
    {
        "folder": FOLDER,
        "name": Option(
            ("--name",),
            "what its examples load: the repository, as user/name",
            "REPO_ID",
            shown="as before",
        ),
    },
)
def run(terminal: Terminal, *, folder: Path, name: str | None) -> int:
    """Write card, pictures, notebook and Croissant of a dataset folder."""
    from conversion.card.presentation import present

    with terminal.progress("writing card and pictures"):
        manifest = present(folder, name, terminal.say)
    terminal.show(*(str(folder / extra) for extra in sorted(manifest.extras)))
    return 0
