"""Columns of Arrow streams, against pyarrow's own reader."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.readers.arrow_stream import read_batch, read_schema, stored_batches
from bioscan5m_hf.storage.local import LocalFile


def test_every_column_of_every_batch(forms: Path) -> None:
    for path in sorted((forms / "arrow").rglob("*.arrow")):
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
            wanted = list(reader)
        with LocalFile(path) as source:
            schema = read_schema(source)
            assert schema == wanted[0].schema
            stored = list(stored_batches(source))
            assert len(stored) == len(wanted)
            for batch, whole in zip(stored, wanted, strict=True):
                for names in ([n] for n in schema.names):
                    found = read_batch(source, schema, batch, names)
                    found.validate(full=True)
                    assert found == whole.select(names)
                assert read_batch(source, schema, batch, schema.names) == whole


@pytest.mark.parametrize("kept", [0, 3, 9, 500, 20_000])
def test_what_is_no_whole_stream(kept: int, forms: Path, tmp_path: Path) -> None:
    whole = max((forms / "arrow").rglob("*.arrow"), key=lambda path: path.stat().st_size)
    for name, data in (("cut", whole.read_bytes()[:kept]), ("zeros", bytes(kept or 4))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ArchiveError, match="not a whole"):
            _walk(tmp_path / name)


def _walk(path: Path) -> None:
    with LocalFile(path) as source:
        read_schema(source)
        list(stored_batches(source))
