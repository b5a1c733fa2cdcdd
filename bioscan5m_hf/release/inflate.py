"""Choose the fastest inflater that is installed.

libdeflate inflates a whole member at once, about twice as fast as zlib. It never writes more than
the given size, so memory is bounded. The standard library's zlib is used on platforms for which
``deflate`` has no wheel.
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
    """A deflate stream is damaged, or does not end at the given size."""


def _inflate_libdeflate(data: memoryview, size: int) -> bytes | bytearray:
    try:
        plain: bytearray = deflate.deflate_decompress(data, size)
    except deflate.DeflateError as error:
        raise InflateError(str(error)) from error
    return plain


def _inflate_zlib(data: memoryview, size: int) -> bytes | bytearray:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # Allow one byte more than the given size, so that a longer member is noticed.
        plain = engine.decompress(data, size + 1)
    except zlib.error as error:
        raise InflateError(str(error)) from error
    if not engine.eof:
        raise InflateError("the stream does not end at the promised size")
    return plain


inflate = _inflate_libdeflate if HAVE_LIBDEFLATE else _inflate_zlib
"""Inflate one raw deflate stream to at most ``size`` bytes, or one more with zlib."""

crc32 = deflate.crc32 if HAVE_LIBDEFLATE else zlib.crc32
"""The CRC-32 of some bytes."""
