"""Parse many JSON objects at once with Arrow, because decoding them one by one is slow.

Decoding an object into Python values takes some 50 µs, with Arrow's parser 4 µs. The parser expects
objects without commas between them, so these commas are replaced by spaces. They are found without
parsing: a comma between ``}`` and the end of a line is never inside a string, because line ends in
strings must be escaped. Whether the text really had this layout is checked afterwards:

- The parser refuses anything that is not JSON, such as a string with an unescaped line end.
- It also refuses repeated and unknown names, nested values, numbers, booleans and lone surrogates.
- A missing name or a null gives a null in a column, which is looked for.
- As no value is nested, every ``}`` outside a string ends an object. So each replaced comma
  followed an object, and the number of objects shows that no comma was missing.

If a block fails any of these checks, its objects are decoded one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pajson


class Blocks:
    """Decodes objects with known names and text values, many at once.

    Args:
        names: The names that each object must have, in the order of the resulting columns.
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
        """Decode all objects but the last, which may be cut off, if they pass the checks.

        Args:
            window: A part of the text of a JSON array of objects.
            position: The offset in it at which an object begins.

        Returns:
            The objects as columns of strings without nulls, and the offset of the comma after
            them. ``None`` if the next object must be decoded by itself.
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
            # Trying again after each of these objects would take quadratic time.
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
    """Replace commas between a brace and a line end by spaces; returns the number of objects."""
    line_ends = np.flatnonzero(objects == ord("\n"))
    commas = line_ends - 1
    commas -= objects[commas] == ord("\r")
    commas = commas[(objects[commas] == ord(",")) & (objects[commas - 1] == ord("}"))]
    objects[commas] = ord(" ")
    return len(commas) + 1
