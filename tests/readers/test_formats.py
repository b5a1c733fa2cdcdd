"""Every format has the two classes that its entry promises, and they say all that differs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from bioscan5m_hf.errors import UnknownName
from bioscan5m_hf.readers.base import ShardReader
from bioscan5m_hf.readers.formats import FORMATS, SUFFIXES, Format, format_named, reader_class
from conversion.formats.base import ShardWriter
from conversion.formats.registry import metadata_writer, writer_named


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_reader_and_writer(form: Format) -> None:
    reader, writer = reader_class(form), writer_named(form.name)
    assert issubclass(reader, ShardReader)
    assert issubclass(writer, ShardWriter)
    assert not inspect.isabstract(reader)
    assert not inspect.isabstract(writer)
    assert writer.form is form is SUFFIXES[form.suffix]
    assert writer.row_bytes > 0
    assert writer.media_type.startswith("application/")
    assert metadata_writer(form.name).metadata_writer is None


def test_a_format_that_is_not_there() -> None:
    with pytest.raises(UnknownName, match="parquet, arrow, webdataset"):
        format_named("parque")


def test_names_are_told_without_pyarrow() -> None:
    code = "import sys, bioscan5m_hf.sources.manifest; assert 'pyarrow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
