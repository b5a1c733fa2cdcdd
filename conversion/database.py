"""A database that sorts and joins out of core, and can be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.storage.prefetch import ahead

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Five million rows were sorted and joined by two threads in 800 MB, not in 500 MB; each further
# thread wants buffers of its own.
_MEMORY_MB: Final = 600
_THREAD_MB: Final = 200
_POLL_SECONDS: Final = 0.1
_AHEAD: Final = 4

BATCH_ROWS: Final = 4096
"""How many rows of an answer come at a time."""


def memory(threads: int) -> str:
    """What a database of ours may take, as DuckDB's setting.

    Args:
        threads: How many processors it may use.
    """
    return f"{_MEMORY_MB + _THREAD_MB * threads}MB"


class Database:
    """A database in memory, for as long as a context lasts.

    Args:
        work: A folder for what does not fit into memory; whoever made it removes it.
        threads: How many processors it may use.
    """

    def __init__(self, work: Path, *, threads: int) -> None:
        # Not at the top: it takes as long to import as all that is needed before it.
        import duckdb

        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self.threads = threads
        # Tables in memory go to the work folder as they are when it is full; a database file would
        # compress them first, for three times the work.
        self._database = duckdb.connect()
        # A connection serves one thread at a time, and this one only makes others.
        self._making = threading.Lock()
        self._ways: list[DuckDBPyConnection] = []
        self._connection = self._way_in()
        self._aside = ThreadPoolExecutor(thread_name_prefix="bioscan5m-catalogue")
        self._run(f"SET memory_limit='{memory(threads)}'")
        self._run(f"SET threads={threads}")
        self._run("SET temp_directory=?", [str(work / "spill")])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._interrupt()
        self._aside.shutdown()
        for way in (*self._ways, self._database):
            way.close()

    @contextmanager
    def giving_up(self) -> Iterator[None]:
        """Where the block fails, let what still runs in other threads fail too."""
        try:
            yield
        except BaseException:
            self._interrupt()
            raise

    def _interrupt(self) -> None:
        for way in self._ways:
            way.interrupt()

    def _way_in(self) -> DuckDBPyConnection:
        """A connection for one thread."""
        with self._making:
            way = self._database.cursor()
            self._ways.append(way)
        return way

    def _run(
        self,
        statement: str,
        parameters: Sequence[object] = (),
        way: DuckDBPyConnection | None = None,
    ) -> None:
        way = way or self._connection
        # In another thread: this one would not hear Ctrl-C before the statement ends.
        running = self._aside.submit(way.execute, statement, parameters)
        with self._explained():
            try:
                running.result()
            except BaseException:
                while not running.done():
                    way.interrupt()
                    wait([running], _POLL_SECONDS)
                raise

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        with self._explained():
            for batch in self._connection.sql(query).to_arrow_reader(BATCH_ROWS):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def _take(self, table: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Make a table of batches, which are made meanwhile in another thread."""
        made = _Made(batches)
        with closing(ahead(iter(made), _AHEAD)) as waiting:
            incoming = pa.RecordBatchReader.from_batches(schema, waiting)
            way = self._way_in()
            way.register("incoming", incoming)
            try:
                # First of all, so that there is room for the new one.
                self._run(f"DROP TABLE IF EXISTS {table}", way=way)
                self._run(f"CREATE TABLE {table} AS SELECT * FROM incoming", way=way)
            except OutputError as error:
                # The database tells of its own trouble only; the cause may be in the batches.
                raise made.failure or error from error
            finally:
                way.unregister("incoming")

    def _take_small(self, table: str, rows: pa.Table) -> None:
        self._take(table, rows.schema, iter(rows.to_batches()))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise OutputError(
                f"the catalogue cannot be made ({str(error).partition(chr(10))[0]})",
                where=str(self.work),
                fix="see that there is room on this disk, and run the same command again",
            ) from error


class _Made:
    """Batches, and what went wrong while they were made: a database reports that as its own."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self.failure: Exception | None = None
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        # No more than that: where the database gives up early, this generator is closed.
        except Exception as error:
            self.failure = error
            raise
