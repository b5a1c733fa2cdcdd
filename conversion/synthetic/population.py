"""Decide who the specimens of a release are: their names, splits, lineages and photographs.

A lineage is a group of specimens that share a name, a BIN and nearly the same barcode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.columns import SPLITS
from conversion.synthetic.taxa import EPITHETS, GENERA, Genus

BARCODE_LENGTH: Final = 658

_UPSTREAM_RECORDS: Final = {
    "pretrain": 4_677_756,
    "train": 289_203,
    "val": 14_757,
    "test": 39_373,
    "val_unseen": 8_819,
    "test_unseen": 7_887,
    "key_unseen": 36_465,
    "other_heldout": 76_590,
}
_SMALL_SPLIT: Final = 20

# Splits that share their lineages, how many these are at most, and how many specimens of the
# first split each has. The first split has every lineage, so that the others have no new ones.
_POOLS: Final = (
    (("train", "val", "test"), 2_400, 5),
    (("key_unseen", "val_unseen", "test_unseen"), 600, 4),
    (("other_heldout",), 3_000, 4),
    (("pretrain",), 24_000, 6),
)
_NAMED_POOLS: Final = 2

_REGIONS: Final = (
    "AR",
    "AU",
    "BE",
    "BR",
    "CA",
    "CR",
    "DE",
    "EG",
    "FI",
    "KE",
    "NO",
    "PE",
    "PK",
    "TH",
    "ZA",
)
_LETTERS: Final = 26
_RECORDS_PER_PROJECT: Final = 11_999

# Codons of insect mitochondria, repeated as they are common; none of them stops translation.
_CODONS: Final = (
    "TTATTATTATTAATTATTATTATTTTTTTTATAATAGGAGGAGGAGGTGCAGCTCCTCCAACAACAACTGTAGTT"
    "TCATCTAGAAGTAATAATAACGATGAACATCAACGATGATGATATAAAGTCGCCATC"
)
_CHANGES_BY_RANK: Final = (("order", 70), ("family", 50), ("name", 45))
_CHANGES_PER_LINEAGE: Final = 22


@dataclass(frozen=True, slots=True)
class Lineages:
    """All lineages of a release; arrays have one value or row for each.

    Attributes:
        genera: Places in ``GENERA``.
        species: Names of species; empty where a lineage has none.
        bins: Barcode Index Numbers, such as ``BOLD:ACW1968``.
        barcodes: The typical barcodes, as rows of ASCII letters.
        pools: For each split the numbers of the lineages that its specimens have.
    """

    genera: NDArray[np.int64]
    species: list[str]
    bins: list[str]
    barcodes: NDArray[np.uint8]
    pools: dict[str, range]


@dataclass(frozen=True, slots=True)
class Population:
    """All specimens of a release; arrays have one value for each, some 26 bytes together.

    Attributes:
        processids: ASCII, as fixed-size bytes.
        digests: The first byte of md5(processid).
        splits: Places in ``SPLITS``.
        lineages: Numbers of lineages.
        photographs: Whose photograph a specimen shows.
        forms: For each photograph the form of the specimen on it.
    """

    processids: NDArray[np.bytes_]
    digests: NDArray[np.uint8]
    splits: NDArray[np.uint8]
    lineages: NDArray[np.int32]
    photographs: NDArray[np.int32]
    forms: list[str]

    def order(self) -> NDArray[np.int64]:
        """The numbers of the specimens in the order of upstream's archives.

        That is by split, by folder within the split, by process id within the folder.
        """
        shifts = np.array([8 - 4 * split.chunk_digits for split in SPLITS], dtype=np.uint16)
        folders = self.digests.astype(np.uint16) >> shifts[self.splits]
        return np.lexsort((self.processids, folders, self.splits))

    def chunk(self, specimen: int) -> str:
        """The folder of an image within its split; empty where the split has none."""
        return f"{self.digests[specimen]:02x}"[: SPLITS[self.splits[specimen]].chunk_digits]

    def folder(self, specimen: int) -> str:
        """The folders of an image below its package, with slashes: ``train/b/``."""
        chunk = self.chunk(specimen)
        return f"{SPLITS[self.splits[specimen]].name}/" + (f"{chunk}/" if chunk else "")


def split_counts(specimens: int) -> dict[str, int]:
    """Share specimens among the splits in upstream's proportions, leaving none of them empty.

    Args:
        specimens: How many there are.

    Returns:
        The number of specimens by split, in upstream's order.

    Raises:
        UsageError: There are fewer specimens than splits.
    """
    if specimens < len(SPLITS):
        raise UsageError(
            f"{specimens} specimens cannot fill {len(SPLITS)} splits",
            fix=f"ask for at least {len(SPLITS)}",
        )
    # The six smallest splits hold 4 % of the release together and would vanish from a sample.
    floor = max(1, min(_SMALL_SPLIT, specimens // (2 * len(SPLITS))))
    total = sum(_UPSTREAM_RECORDS.values())
    counts = {
        split.name: max(floor, round(specimens * _UPSTREAM_RECORDS[split.name] / total))
        for split in SPLITS
    }
    counts["pretrain"] += specimens - sum(counts.values())
    return counts


def populate(seed: int, specimens: int, photographs: int) -> Population:
    """Make up the specimens of a release.

    Args:
        seed: Another seed gives other specimens.
        specimens: How many there are.
        photographs: How many of them have a photograph of their own; each of the others shows one
            of these that has its form, if there is any.
    """
    rng = np.random.default_rng((seed, 1))
    lines = lineages(seed, specimens)
    counts = split_counts(specimens)
    splits = rng.permutation(np.repeat(np.arange(len(SPLITS), dtype=np.uint8), [*counts.values()]))
    lineage = np.empty(specimens, dtype=np.int32)
    firsts = {names[0] for names, _, _ in _POOLS}
    for number, split in enumerate(SPLITS):
        pool = lines.pools[split.name]
        # Squaring makes a few lineages common and most of them rare.
        chosen = (rng.random(counts[split.name]) ** 2 * len(pool)).astype(np.int32)
        if split.name in firsts:
            chosen[: len(pool)] = np.arange(len(pool))
        lineage[splits == number] = pool.start + chosen

    names = sorted({genus.form for genus in GENERA})
    form_of_genus = np.array([names.index(genus.form) for genus in GENERA])
    forms = form_of_genus[lines.genera[lineage]]
    shown = np.arange(specimens, dtype=np.int32)
    for form in np.unique(forms[photographs:]):
        owners = np.flatnonzero(forms[:photographs] == form)
        others = photographs + np.flatnonzero(forms[photographs:] == form)
        shown[others] = rng.choice(owners if len(owners) else photographs, len(others))
    processids = np.empty(specimens, dtype="S16")
    digests = bytearray()
    for at, name in enumerate(_processids(rng, specimens)):
        processids[at] = name
        digests += hashlib.md5(name, usedforsecurity=False).digest()[:1]
    return Population(
        processids,
        np.frombuffer(digests, dtype=np.uint8),
        splits,
        lineage,
        shown,
        [names[form] for form in forms[:photographs]],
    )


def _processids(rng: np.random.Generator, specimens: int) -> Iterator[bytes]:
    """Names such as ``GMPPO5563-21``; no two are alike in any case."""
    projects = max(16, specimens // 4_000 + 1)
    codes = rng.choice(len(_REGIONS) * _LETTERS**3, projects, replace=False).tolist()
    prefixes, years = [], []
    for code in codes:
        region, rest = divmod(code, _LETTERS**3)
        letters = (rest // _LETTERS**2, rest // _LETTERS % _LETTERS, rest % _LETTERS)
        prefixes.append(_REGIONS[region].encode() + bytes(65 + letter for letter in letters))
        years.append(20 + code % 4)
    chosen = rng.choice(projects * _RECORDS_PER_PROJECT, specimens, replace=False)
    for code in chosen:
        project, record = divmod(int(code), _RECORDS_PER_PROJECT)
        yield b"%s%03d-%d" % (prefixes[project], record + 1, years[project])


@lru_cache(maxsize=1)
def lineages(seed: int, specimens: int) -> Lineages:
    """Make up the lineages of a release.

    Args:
        seed: Another seed gives other lineages.
        specimens: How many specimens the release has.
    """
    rng = np.random.default_rng((seed, 0))
    counts = split_counts(specimens)
    pools: dict[str, range] = {}
    starts = [0]
    for names, most, specimens_each in _POOLS:
        starts.append(starts[-1] + min(most, -(-counts[names[0]] // specimens_each)))
        pools |= dict.fromkeys(names, range(starts[-2], starts[-1]))
    shares = np.array([genus.weight for genus in GENERA])
    genera = rng.choice(len(GENERA), starts[-1], p=shares / shares.sum())
    # No two lineages have the same binomial.
    named = starts[_NAMED_POOLS]
    binomials = np.repeat(shares, len(EPITHETS))
    chosen = rng.choice(len(binomials), named, replace=False, p=binomials / binomials.sum())
    genera[:named] = chosen // len(EPITHETS)
    species = [f"{GENERA[at].name} {EPITHETS[which]}" for at, which in
               zip(genera, chosen % len(EPITHETS), strict=False)]  # fmt: skip
    heldout = range(named, starts[_NAMED_POOLS + 1])
    species += [_provisional_name(GENERA[genera[number]], number) for number in heldout]
    species += [""] * (starts[-1] - len(species))
    codes = rng.choice(_LETTERS**2 * 10_000, starts[-1], replace=False).tolist()
    bins = [
        f"BOLD:A{chr(65 + code // 260_000)}{chr(65 + code // 10_000 % 26)}{code % 10_000:04d}"
        for code in codes
    ]
    return Lineages(genera, species, bins, _barcodes(rng, genera), pools)


def _provisional_name(genus: Genus, number: int) -> str:
    return (
        f"{genus.name} sp. {number}BR",
        f"{genus.name} sp. BIOUG{number:05d}",
        f"{genus.name} cf. {EPITHETS[number % len(EPITHETS)]} DHJ{number:02d}",
        f"{genus.name.lower()}Janzen{number:02d} Janzen{number:02d}",
    )[number % 4]


def _barcodes(rng: np.random.Generator, genera: NDArray[np.int64]) -> NDArray[np.uint8]:
    """COI barcodes that resemble each other the more closely the lineages are related."""
    codons = rng.integers(len(_CODONS) // 3, size=BARCODE_LENGTH // 3 + 1)
    ancestor = "".join(_CODONS[3 * codon : 3 * codon + 3] for codon in codons)[:BARCODE_LENGTH]
    rows = np.tile(np.frombuffer(ancestor.encode(), dtype=np.uint8), (len(GENERA), 1))
    for rank, changes in _CHANGES_BY_RANK:
        taxa, group = np.unique([getattr(genus, rank) for genus in GENERA], return_inverse=True)
        substitute(rows, rng, changes, len(taxa), group)
    rows = rows[genera]
    substitute(rows, rng, _CHANGES_PER_LINEAGE, len(rows), np.arange(len(rows)))
    return rows


def substitute(
    rows: NDArray[np.uint8],
    rng: np.random.Generator,
    changes: int,
    groups: int,
    group: NDArray[np.int64],
) -> None:
    """Substitute bases of barcodes in place.

    Args:
        rows: Barcodes as ASCII letters.
        rng: The source of chance.
        changes: How many bases are substituted.
        groups: How many groups of rows there are.
        group: The group of each row; rows of a group get the same substitutions.
    """
    third = rng.integers(BARCODE_LENGTH // 3, size=(groups, changes)) * 3 + 2
    # Nearly all that differs between relatives is the third base of codons.
    position = third - 2 * (rng.random((groups, changes)) < 1 / 12)
    base = rng.choice(np.frombuffer(b"AAATTTTACG", dtype=np.uint8), (groups, changes))
    np.put_along_axis(rows, position[group], base[group], axis=1)
