"""Arrow arrays whose buffers depend on their values alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def canonical(array: pa.Array) -> pa.Array:
    """Lay out a column of strings or numbers in the only way that its values allow.

    What stands in the place of a missing value is left to whoever makes an array, and so is
    whether there is a bitmap where nothing is missing; a file that holds the buffers as they are
    would differ from run to run.

    Args:
        array: A column.

    Returns:
        The same values, in buffers of their own.
    """
    missing = array.is_null().to_numpy(zero_copy_only=False)
    validity = None
    if missing.any():
        validity = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    if not pa.types.is_string(array.type):
        values = np.array(array.fill_null(0).to_numpy())
        return pa.Array.from_buffers(array.type, len(array), [validity, pa.py_buffer(values)])
    text = array.fill_null("")
    offsets = np.zeros(len(text) + 1, np.int32)
    np.cumsum(pc.binary_length(text).to_numpy(), out=offsets[1:])
    _, starts, data = text.buffers()
    first = int(np.frombuffer(starts, np.int32)[text.offset]) if len(text) else 0
    held = b"" if data is None else memoryview(data)[first : first + int(offsets[-1])].tobytes()
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(held)]
    return pa.Array.from_buffers(array.type, len(array), buffers)
