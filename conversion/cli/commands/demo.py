"""``bioscan5m demo``: sample, convert, verify and load, all in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.processors import processors
from bioscan5m_hf.storage.path import absolute
from conversion.cli.command import command
from conversion.cli.parameters import WORKERS
from conversion.pipeline.option import Option

if TYPE_CHECKING:
    from conversion.cli.console import Terminal


@command(
    "demo",
    ["bioscan5m demo", "bioscan5m demo --output /tmp/demo"],
    {
        "output": Option(
            ("--output", "-o"),
            "the folder to write; an earlier demo in it is replaced",
            "DIR",
            absolute,
            default=Path("bioscan5m-demo"),
            shown="./bioscan5m-demo",
            position=True,
        ),
        "workers": WORKERS,
    },
)
def run(terminal: Terminal, *, output: Path, workers: int | None) -> int:
    """Run all steps on a small synthetic release."""
    from conversion.demo import demo

    demo(output, workers=workers or processors(), terminal=terminal)
    return 0
