"""COI barcodes that resemble each other the more closely the specimens are related."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from conversion.sample import noise
from conversion.sample.lineages import Lineages
from conversion.sample.taxonomy import genera

LENGTH: Final = 658

# Codons of insect mitochondria, repeated as they are common; none of them stops translation.
_CODONS: Final = (
    "TTATTATTATTAATTATTATTATTTTTTTTATAATAGGAGGAGGAGGTGCAGCTCCTCCAACAACAACTGTAGTT"
    "TCATCTAGAAGTAATAATAACGATGAACATCAACGATGATGATATAAAGTCGCCATC"
)
_BASES: Final = np.frombuffer(b"AAATTTTACG", dtype=np.uint8)
_AMBIGUOUS: Final = np.frombuffer(b"RYKMSW", dtype=np.uint8)
_THIRDS: Final = LENGTH // 3

_CHANGES_BY_RANK: Final = (("order", 70), ("family", 50), ("genus", 45))
_CHANGES_PER_LINEAGE: Final = 22
_CHANGES_PER_HAPLOTYPE: Final = 3


def lineage_barcodes(lines: Lineages) -> NDArray[np.uint8]:
    """The barcode that is typical of each lineage.

    Args:
        lines: The lineages of a release.

    Returns:
        One row of ``LENGTH`` ASCII letters for each lineage.
    """
    seed = lines.seed
    codon = noise.below(seed, "ancestor", np.arange(_THIRDS, dtype=np.int64), len(_CODONS) // 3)
    ancestor = "".join(_CODONS[3 * number : 3 * number + 3] for number in codon.tolist())
    ancestor += "T" * (LENGTH % 3)
    sequence = np.frombuffer(ancestor.encode(), dtype=np.uint8)
    by_genus = np.stack([sequence] * len(genera()))
    for rank, changes in _CHANGES_BY_RANK:
        names = [genus.name if rank == "genus" else getattr(genus, rank) for genus in genera()]
        distinct = {name: number for number, name in enumerate(dict.fromkeys(names))}
        group = np.array([distinct[name] for name in names], dtype=np.int64)
        _change(by_genus, seed, rank, group, changes)
    rows = by_genus[lines.genus]
    number = np.arange(len(rows), dtype=np.int64)
    _change(rows, seed, "lineage barcode", number, _CHANGES_PER_LINEAGE)
    return rows


def specimen_barcodes(
    seed: int,
    index: NDArray[np.int64],
    lineage: NDArray[np.int64],
    typical: NDArray[np.uint8],
) -> list[str]:
    """The barcodes of specimens; those of one lineage and haplotype are equal.

    Args:
        seed: The seed of the release.
        index: Numbers of specimens.
        lineage: Numbers of their lineages.
        typical: What ``lineage_barcodes`` returned.
    """
    skew = noise.unit(seed, "haplotype", index)
    haplotype = (1.0 / (1.0 - skew * 0.98)).astype(np.int64) - 1
    kind = lineage * 64 + haplotype
    rows = typical[lineage]
    varied = np.flatnonzero(haplotype)
    changed = rows[varied]
    _change(changed, seed, "haplotype barcode", kind[varied], _CHANGES_PER_HAPLOTYPE)
    rows[varied] = changed
    _blur(rows, seed, index)
    starts, ends = _extent(seed, kind)
    longer = noise.unit(seed, "longer", kind)
    texts = []
    for row, start, end, excess in zip(
        rows, starts.tolist(), ends.tolist(), longer.tolist(), strict=True
    ):
        text = row.tobytes().decode("ascii")
        if excess < 0.015:
            text += text[LENGTH % 3 + 90 :: -1] + text[: int(excess * 50_000)]
            texts.append(text[start:])
        else:
            texts.append(text[start:end])
    return texts


def _change(
    rows: NDArray[np.uint8], seed: int, stream: str, group: NDArray[np.int64], changes: int
) -> None:
    """Substitute bases in place; rows of one group get the same ones."""
    draw = noise.bits(seed, stream, group[:, None] * 128 + np.arange(changes, dtype=np.int64))
    # Nearly all that differs between relatives is the third base of codons.
    third = (draw % np.uint64(_THIRDS)).astype(np.int64) * 3 + 2
    position = np.where((draw >> np.uint64(40)) % np.uint64(12) == 0, third - 2, third)
    base = _BASES[((draw >> np.uint64(50)) % np.uint64(len(_BASES))).astype(np.int64)]
    np.put_along_axis(rows, position, base, axis=1)


def _blur(rows: NDArray[np.uint8], seed: int, index: NDArray[np.int64]) -> None:
    """Make some bases unknown (N) or ambiguous, as sequencing does."""
    draw = noise.unit(seed, "unknown bases", index)
    place = noise.below(seed, "unknown place", index, LENGTH - 60)
    for row in np.flatnonzero(draw < 0.08).tolist():
        run = 1 + int(draw[row] * 400) if draw[row] < 0.05 else 1
        rows[row, place[row] : place[row] + run] = ord("N")
    for row in np.flatnonzero(draw > 0.96).tolist():
        rows[row, place[row]] = _AMBIGUOUS[place[row] % len(_AMBIGUOUS)]


def _extent(seed: int, kind: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where reads begin and end: most are whole, some lack up to a fifth."""
    lost = noise.unit(seed, "read start", kind) ** 9 * 60
    short = noise.unit(seed, "read end", kind) ** 7 * 120
    return lost.astype(np.int64), LENGTH - short.astype(np.int64)
