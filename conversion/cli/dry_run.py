"""Show what a conversion would write, and the disk, memory and time that it would need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bioscan5m_hf.storage.path import Location
from conversion.cli.console import make_table
from conversion.cli.gauges import duration
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from rich.table import Table

    from conversion.cli.console import Terminal
    from conversion.preview.preview import Preview


def show_preview(terminal: Terminal, found: Preview, output: Location, form: str) -> None:
    """Show what a conversion would do."""
    terminal.document(_document(found, output, form))
    terminal.show(_table(found, output))
    disk = f"disk: {readable_size(found.disk)}, {readable_size(found.temporary)} of it temporary"
    if found.free is not None:
        disk += f"; {readable_size(found.free)} are free"
        disk += "" if found.fits else ", which is not enough"
    terminal.show(disk)
    shared = f"{found.workers:,} workers" if found.workers > 1 else "1 worker"
    terminal.show(f"memory: about {readable_size(found.memory)}, with {shared}")
    if found.seconds is None:
        terminal.show("time: not known, since a cluster has other machines")
    else:
        terminal.show(f"time: about {duration(found.seconds)} on this machine")
    terminal.show("nothing was written")


def _document(found: Preview, output: Location, form: str) -> dict[str, Any]:
    configurations: dict[str, dict[str, Any]] = {}
    for split in found.splits:
        configurations.setdefault(split.configuration, {})[split.split] = {
            "specimens": split.specimens,
            "left_out": split.left_out,
            "shards": split.shards,
            "bytes": split.bytes,
            "there": split.there,
        }
    return {
        "output": str(output),
        "format": form,
        "configurations": configurations,
        "bytes": found.bytes,
        "disk": found.disk,
        "temporary": found.temporary,
        "free": found.free,
        "memory": found.memory,
        "workers": found.workers,
        "seconds": None if found.seconds is None else round(found.seconds, 3),
    }


def _table(found: Preview, output: Location) -> Table:
    rows = [
        (
            split.configuration,
            split.split,
            f"{split.specimens:,}",
            f"{split.left_out:,}",
            f"{split.shards:,}",
            "is there" if split.there else readable_size(split.bytes),
        )
        for split in found.splits
    ]
    head = ("configuration", "split", "specimens", "left out", "shards", "size, about")
    return make_table(f"would be written to {output}", head, rows, right=4)
