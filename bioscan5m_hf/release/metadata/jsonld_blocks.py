"""Parse many JSON objects at once into Arrow, where they are laid out as upstream does.

Decoding object by object into Python values takes some 50 µs a row, Arrow's parser 4 µs. It reads
objects that stand one after the other, so the commas between them have to go. They can be found
without parsing: a comma that ends its line behind ``}`` is never inside a text, where a line end
must be escaped. Whether a block was what it seemed to be shows afterwards:

- a text with a line end in it, and anything else that is not JSON, is refused by the parser;
- so are repeated and unknown names, nested values, numbers, truths and half characters;
- a name that is missing, or null, leaves a null;
- as no value is nested, every ``}`` outside a text ends an object, so a comma that was blanked
  stood behind one, at most one behind each; the number of objects tells that none was missing.

Of a block with any such oddity nothing is used: its objects are then decoded one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pajson


class Blocks:
    """Decodes whole objects of a piece of text whose names are known and whose values are text.

    Args:
        names: The names that each object has, in the order of the columns wanted.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._options = pajson.ParseOptions(
            explicit_schema=pa.schema([(name, pa.string()) for name in names]),
            newlines_in_values=True,
            unexpected_field_behavior="error",
        )
        self._singly = 0

    def take(self, window: str, position: int) -> tuple[pa.RecordBatch, int] | None:
        """Decode all objects but the last, which may be cut off, if there is nothing odd in them.

        Args:
            window: Some text of a JSON array of objects.
            position: Where in it an object begins.

        Returns:
            The objects as columns of strings without nulls, and where in the text they end, before
            a comma. None where the next object has to be decoded by itself.
        """
        if self._singly:
            self._singly -= 1
            return None
        end = 1 + window.rfind("},\n", position) or 1 + window.rfind("},\r\n", position)
        if not end:
            return None
        objects = np.frombuffer(bytearray(window[position:end], "utf-8"), np.uint8)
        count = _separate(objects)
        if (batch := self._parse(objects)) is None or batch.num_rows != count:
            # Not again for each of them: that would take the square of the time.
            self._singly = count - 1
            return None
        return batch, end

    def _parse(self, data: npt.NDArray[np.uint8]) -> pa.RecordBatch | None:
        try:
            table = pajson.read_json(
                pa.BufferReader(pa.py_buffer(data)),
                read_options=pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
                parse_options=self._options,
            )
        except pa.ArrowException:
            return None
        if any(column.null_count for column in table.columns):
            return None
        [batch] = table.select(self._names).combine_chunks().to_batches()
        return batch


def _separate(objects: npt.NDArray[np.uint8]) -> int:
    """Blank the commas that end a line behind a brace; how many objects that makes."""
    line_ends = np.flatnonzero(objects == ord("\n"))
    commas = line_ends - 1
    commas -= objects[commas] == ord("\r")
    commas = commas[(objects[commas] == ord(",")) & (objects[commas - 1] == ord("}"))]
    objects[commas] = ord(" ")
    return len(commas) + 1
