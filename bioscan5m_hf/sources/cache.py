"""Find the cache of the indexes of raw releases, and open the database that makes them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.processors import processors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY: Final = "600MB"


@contextlib.contextmanager
def database_in(work: Path) -> Iterator[DuckDBPyConnection]:
    """A database that is gone afterwards; what does not fit into memory lies in a folder.

    Args:
        work: The folder.
    """
    import duckdb

    with (
        tempfile.TemporaryDirectory(dir=work) as spill,
        duckdb.connect(str(Path(spill) / "join.duckdb")) as database,
    ):
        database.execute(f"SET memory_limit='{_MEMORY}'")
        database.execute(f"SET threads={processors()}")
        database.execute("SET enable_progress_bar=false")
        yield database


def made_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """A folder of the cache, made where it is not there yet; it appears whole."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(work)
        work.rename(folder)
    except OSError:
        # Another process was faster.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder
