"""Choose the fastest inflater that is installed.

libdeflate inflates a whole member at once, about twice as fast as zlib, and never writes more
than the size that it is told, so a member cannot inflate without bound. The standard library
serves platforms that ``deflate`` has no wheel for.
"""

from __future__ import annotations

import zlib

try:
    import deflate
except ImportError:
    HAVE_LIBDEFLATE = False
else:
    HAVE_LIBDEFLATE = True


class InflateError(ValueError):
    """A deflate stream that is damaged, or that does not end where it should."""


def _inflate_libdeflate(data: memoryview, size: int) -> bytes | bytearray:
    try:
        plain: bytearray = deflate.deflate_decompress(data, size)
    except deflate.DeflateError as error:
        raise InflateError(str(error)) from error
    return plain


def _inflate_zlib(data: memoryview, size: int) -> bytes | bytearray:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than promised is asked for, so that a member that lies is noticed.
        plain = engine.decompress(data, size + 1)
    except zlib.error as error:
        raise InflateError(str(error)) from error
    if not engine.eof:
        raise InflateError("the stream does not end at the promised size")
    return plain


inflate = _inflate_libdeflate if HAVE_LIBDEFLATE else _inflate_zlib
"""Inflate one raw deflate stream to at most ``size`` bytes, or one more where it is zlib's."""

crc32 = deflate.crc32 if HAVE_LIBDEFLATE else zlib.crc32
"""The CRC-32 of some bytes."""
