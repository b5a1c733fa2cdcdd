"""Arrow shards are used where they lie."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset, concatenate_datasets

from bioscan5m_hf.schema.columns import arrow_schema
from conversion.formats.arrow import canonical
from tests.conftest import Run, make_once
from tests.independent import read_release


@pytest.fixture(scope="session")
def folder(release: Path, shared: Path, call: Run) -> Path:
    return make_once(
        shared / "arrow",
        lambda root: call(
            *("convert", release, "--output", root, "--package", "cropped_256"),
            *("--format", "arrow", "--shard-size", "2MB", "--quiet"),
        ),
    )


def test_reading_allocates_nothing(folder: Path) -> None:
    paths = sorted((folder / "cropped_256").glob("*-of-*.arrow"))
    total = sum(path.stat().st_size for path in paths)
    before = pa.total_allocated_bytes()
    held = []
    read = 0
    for path in paths:
        with pa.memory_map(str(path)) as source:
            stream = pa.ipc.open_stream(source)
            assert stream.schema.equals(arrow_schema(image=True), check_metadata=True)
            for batch in stream:
                batch.validate(full=True)
                held.append(batch)
                read += batch.get_total_buffer_size()
    assert read > 0.9 * total > 5_000_000
    assert pa.total_allocated_bytes() - before < 100_000


def test_random_access_through_datasets(folder: Path, release: Path) -> None:
    paths = sorted((folder / "cropped_256").glob("pretrain-*.arrow"))
    mapped = concatenate_datasets([Dataset.from_file(str(path)) for path in paths])
    specimens = read_release(release, "cropped_256")["pretrain"]
    assert len(mapped) == len(specimens)
    for index in (0, len(mapped) - 1, 17, 600):
        row = mapped[index]
        assert row["processid"] == specimens[index].row["processid"]
        assert min(row["image"].size) == 256
    assert mapped.shuffle(seed=1, keep_in_memory=True).select(range(3))[2]["split"] == "pretrain"


def test_canonical_arrays_hold_their_values_and_nothing_else() -> None:
    whole = pa.array(["skipped", None, "a", "", "ß"])
    for array in (
        whole,
        whole.slice(1),
        pa.array([], pa.string()),
        pa.array([1.5, None, 3.0]),
        pa.array([None, None], pa.int64()),
        pa.array([7, 8, 9], pa.int8()).slice(1, 1),
    ):
        found = canonical(array)
        assert found.equals(array)
        again = canonical(pa.array(array.to_pylist(), array.type))
        assert [b and b.to_pybytes() for b in found.buffers()] == [
            b and b.to_pybytes() for b in again.buffers()
        ]
        assert (found.buffers()[0] is None) == (array.null_count == 0)
