"""Read Thrift's compact protocol, as far as the footer and page headers of Parquet need it.

``pyarrow`` parses both, but does not expose the offsets of the page index and of pages. A struct
becomes a dictionary from field numbers, as in parquet.thrift, to values.
"""

from __future__ import annotations

import struct
from typing import Any, Final

Struct = dict[int, Any]

_TRUE: Final = 1
_FALSE: Final = 2
_BYTE: Final = 3
_INTEGERS: Final = (4, 5, 6)
_DOUBLE: Final = 7
_BINARY: Final = 8
_LISTS: Final = (9, 10)
_STRUCT: Final = 12


class ThriftError(ValueError):
    """Bytes are not a struct of the compact protocol, or end within one."""


class CompactReader:
    """Reads consecutive structs.

    Attributes:
        position: The offset of the next struct.
    """

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self._data = data
        self.position = position

    def struct(self) -> Struct:
        """Read one struct.

        Raises:
            ThriftError: There is no complete struct.
        """
        try:
            return self._struct()
        except (IndexError, struct.error, RecursionError) as error:
            raise ThriftError("the bytes end within a struct") from error

    def _struct(self) -> Struct:
        found: Struct = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._integer()
            found[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        return found

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self._struct()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in _LISTS:
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            # In a list, a boolean takes one byte.
            inner = _BYTE if head & 15 in (_TRUE, _FALSE) else head & 15
            return [self._value(inner) for _ in range(count)]
        if kind == _DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == _BYTE:
            return self._byte()
        raise ThriftError(f"there is no type {kind} in Parquet")

    def _take(self, length: int) -> bytes:
        taken = bytes(self._data[self.position : self.position + length])
        if len(taken) < length:
            raise IndexError(length)
        self.position += length
        return taken
