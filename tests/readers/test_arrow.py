"""Arrow streams that cannot be mapped, against pyarrow's own reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.query.choice import Choice
from bioscan5m_hf.readers.arrow import ArrowReader
from bioscan5m_hf.schema.columns import arrow_schema
from bioscan5m_hf.storage.path import location_of

ROWS = [3, 1, 5]


def stream() -> bytes:
    """A stream of some record batches, whose images differ."""
    schema = arrow_schema(image=True)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        first = 0
        for count in ROWS:
            numbers = range(first, first + count)
            columns = {
                field.name: pa.array([None] * count, field.type)
                for field in schema
                if field.name not in ("processid", "image")
            }
            columns["processid"] = pa.array([f"P{number}" for number in numbers])
            images = [{"bytes": bytes([n]) * 9000, "path": f"P{n}.jpg"} for n in numbers]
            columns["image"] = pa.array(images, schema.field("image").type)
            writer.write_batch(
                pa.record_batch([columns[name] for name in schema.names], schema=schema)
            )
            first += count
    return bytes(sink.getvalue())


@pytest.fixture
def remote() -> Iterator[ArrowReader]:
    system = fsspec.filesystem("memory")
    system.pipe_file("/arrow-reader/a.arrow", stream())
    yield ArrowReader(location_of("memory://arrow-reader/a.arrow"))
    system.rm("/arrow-reader", recursive=True)


def test_a_remote_stream_has_the_rows_of_a_local_one(remote: ArrowReader, tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(stream())
    choice = Choice(tuple(arrow_schema(image=True).names))
    found = list(remote.read(choice))
    assert [table.num_rows for table in found] == ROWS
    assert found == list(ArrowReader(tmp_path / "a.arrow").read(choice))
    assert [next(piece.read(choice)) for piece in remote.divide()] == found


def test_images_by_row_number(remote: ArrowReader, tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(stream())
    rows = np.array([0, 2, 3, 8])
    for reader in (remote, ArrowReader(tmp_path / "a.arrow")):
        images = reader.open_images().read(rows)
        assert [bytes(image) for image in images] == [bytes([n]) * 9000 for n in rows.tolist()]


@pytest.mark.parametrize("kept", [0, 3, 9, 500, 20_000])
def test_what_is_no_whole_stream(kept: int, remote: ArrowReader) -> None:
    for data in (stream()[:kept], bytes(kept or 4)):
        fsspec.filesystem("memory").pipe_file("/arrow-reader/a.arrow", data)
        with pytest.raises(ArchiveError, match="not a complete"):
            list(remote.read(Choice(("processid",))))
