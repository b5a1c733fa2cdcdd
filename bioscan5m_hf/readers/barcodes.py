"""Cut DNA barcodes, and choose one specimen for each barcode; neither is done by default."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.query.choice import PROCESSID, Choice
from bioscan5m_hf.query.filters import Filter
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.schema.order import Keys, keys_of

BARCODE = "dna_barcode"
_UNKNOWN = "N"


def cut(barcodes: pa.Array | pa.ChunkedArray, length: int) -> pa.Array | pa.ChunkedArray:
    """Keep the first nucleotides of each barcode."""
    return pc.utf8_slice_codeunits(barcodes, 0, length)


def unique_keys(
    pieces: Iterable[Piece], condition: Filter | None, max_nucleotides: int | None
) -> Keys:
    """Choose one specimen for each barcode: the first in the order of md5(processid).

    Barcodes are compared after cutting and after stripping every N at their end. The choice does
    not depend on the order of the rows, the format or the workers. A specimen without a barcode is
    always chosen.

    Args:
        pieces: The data; images are not read.
        condition: Only specimens that meet this condition are chosen.
        max_nucleotides: The length to which barcodes are cut; ``None`` to leave them whole.

    Returns:
        The sorted keys of the chosen specimens, as from ``keys_of``.
    """
    choice = Choice((PROCESSID, BARCODE), condition)
    digests: list[np.ndarray[tuple[int, int], np.dtype[np.uint64]]] = []
    keys: list[Keys] = []
    alone: list[Keys] = []
    for piece in pieces:
        for table in piece.read(choice):
            barcodes = table[BARCODE]
            present = barcodes.is_valid()
            alone.append(keys_of(table[PROCESSID].filter(pc.invert(present))))
            text = barcodes.drop_null()
            if max_nucleotides is not None:
                text = cut(text, max_nucleotides)
            digests.append(_digests(pc.utf8_rtrim(text, _UNKNOWN).to_pylist()))
            keys.append(keys_of(table[PROCESSID].filter(present)))
    if not keys:
        return np.empty(0, np.uint64)
    digest, key = np.concatenate(digests), np.concatenate(keys)
    order = np.lexsort((key, digest[:, 1], digest[:, 0]))
    digest, key = digest[order], key[order]
    first = np.ones(len(key), np.bool_)
    first[1:] = (digest[1:] != digest[:-1]).any(axis=1)
    return np.sort(np.concatenate([key[first], *alone]))


def _digests(texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    joined = b"".join(hashlib.md5(t.encode(), usedforsecurity=False).digest() for t in texts)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)
