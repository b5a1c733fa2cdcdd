"""Fill the tables of the pages from the declarations of the code.

A page says ``<!-- table: columns -->`` where a table belongs; a name that is not known stops the
build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bioscan5m_hf.schema.columns import COLUMNS, SPLITS
from bioscan5m_hf.schema.configurations import PACKAGES
from conversion.pipeline.options import convert_options, effects

_MARK: Final = re.compile(r"<!-- (table|include): ([\w./-]+) -->")
_ROOT: Final = Path(__file__).parent.parent


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page; called by MkDocs for each page."""
    return _MARK.sub(lambda match: _MAKERS[match[1]](match[2]), markdown)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _columns() -> str:
    rows = [[f"`{c.name}`", c.kind.value, c.meaning] for c in COLUMNS]
    return _table(["column", "type", "meaning"], rows)


def _splits() -> str:
    rows = [[f"`{s.published}`", f"`{s.partition}`", s.meaning] for s in SPLITS]
    return _table(["split", "partition", "meaning"], rows)


def _packages() -> str:
    rows = [[f"`{p.name}`", p.meaning] for p in PACKAGES]
    return _table(["configuration", "images"], rows)


def _options() -> str:
    rows = [
        [
            f"`{', '.join(option.flags) or option.metavar}`",
            option.help + (f" (default: {option.shown})" if option.shown else ""),
            effects()[name].value,
        ]
        for name, option in convert_options().items()
    ]
    return _table(["option", "meaning", "another value gives"], rows)


_TABLES: Final[dict[str, Callable[[], str]]] = {
    "columns": _columns,
    "options": _options,
    "packages": _packages,
    "splits": _splits,
}


def _include(name: str) -> str:
    """The text of a file of the repository, without its first heading."""
    text = (_ROOT / name).read_text("utf-8")
    return text.split("\n", 1)[1] if text.startswith("# ") else text


_MAKERS: Final[dict[str, Callable[[str], str]]] = {
    "table": lambda name: _TABLES[name](),
    "include": _include,
}
