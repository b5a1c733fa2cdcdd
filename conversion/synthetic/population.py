"""Generate the specimens of a release: their names, splits, lineages and photographs.

A lineage is a group of specimens that share a name, a BIN and nearly the same barcode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.columns import SPLITS
from conversion.synthetic.vocabulary import EPITHETS, FORM_NAMES, GENERA, PHYLUM

BARCODE_LENGTH: Final = 658

PERSON: Final = np.dtype(
    [("processid", "S16"), ("split", "u1"), ("chunk", "S2"), ("lineage", "i4"), ("shown", "i4")]
)
"""A specimen: the numbers of its split, its lineage and the photograph that shows it."""

# How many specimens upstream has in each of ``SPLITS``.
_UPSTREAM_RECORDS: Final = (4_677_756, 289_203, 14_757, 39_373, 8_819, 7_887, 36_465, 76_590)
_SMALL_SPLIT: Final = 20

# Groups of splits that share their lineages: the splits, the number of lineages at most, and how
# many specimens of the first split each lineage has. The first split has every lineage of its
# group, so the other splits have no new ones.
_POOLS: Final = (
    (("train", "val", "test"), 2_400, 5),
    (("key_unseen", "val_unseen", "test_unseen"), 600, 4),
    (("other_heldout",), 3_000, 4),
    (("pretrain",), 24_000, 6),
)

_LETTERS: Final = 26
_RECORDS_PER_PROJECT: Final = 11_999

_BASES: Final = np.frombuffer(b"AAATTTTCCGG", dtype=np.uint8)
_CHANGES_PER_GENUS: Final = 120
_CHANGES_PER_LINEAGE: Final = 22


@dataclass(frozen=True, slots=True)
class Lineages:
    """All lineages of a release; arrays have one value or row for each."""

    forms: NDArray[np.uint8]  # the shapes of their members, as indices in FORM_NAMES
    labels: list[tuple[str, ...]]  # from phylum to species, which may be empty
    bins: list[str]  # Barcode Index Numbers, such as BOLD:ACW1968
    barcodes: NDArray[np.uint8]  # the typical barcodes, as rows of ASCII letters
    pools: dict[str, range]  # for each split, the numbers of its lineages


def split_counts(specimens: int) -> dict[str, int]:
    """Distribute specimens among the splits in upstream's proportions; no split stays empty.

    Raises:
        UsageError: There are fewer specimens than splits.
    """
    if specimens < len(SPLITS):
        raise UsageError(
            f"{specimens} specimens cannot fill {len(SPLITS)} splits",
            fix=f"ask for at least {len(SPLITS)}",
        )
    # The six smallest splits have 4 % of the release together, and a sample would lose them.
    floor = max(1, min(_SMALL_SPLIT, specimens // (2 * len(SPLITS))))
    total = sum(_UPSTREAM_RECORDS)
    counts = {
        split.name: max(floor, round(specimens * records / total))
        for split, records in zip(SPLITS, _UPSTREAM_RECORDS, strict=True)
    }
    counts["pretrain"] += specimens - sum(counts.values())
    return counts


def populate(seed: int, specimens: int, photographs: int) -> tuple[NDArray[Any], list[str]]:
    """Generate the specimens of a release.

    The first ``photographs`` specimens have their own photograph. Each of the other specimens
    uses a photograph of a specimen with the same form, if there is one.

    Returns:
        A ``PERSON`` for each specimen, and the form of the specimen on each photograph.
    """
    rng = np.random.default_rng((seed, 1))
    lines = lineages(seed, specimens)
    people = np.empty(specimens, dtype=PERSON)
    counts = split_counts(specimens)
    splits = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), [*counts.values()])
    people["split"] = rng.permutation(splits)
    firsts = {names[0] for names, _, _ in _POOLS}
    for number, split in enumerate(SPLITS):
        pool = lines.pools[split.name]
        # Squaring makes a few lineages common and most lineages rare.
        chosen = (rng.random(counts[split.name]) ** 2 * len(pool)).astype(np.int32)
        if split.name in firsts:
            chosen[: len(pool)] = np.arange(len(pool))
        people["lineage"][people["split"] == number] = pool.start + chosen

    forms = lines.forms[people["lineage"]]
    people["shown"] = np.arange(specimens, dtype=np.int32)
    for form in np.unique(forms[photographs:]):
        owners = np.flatnonzero(forms[:photographs] == form)
        others = photographs + np.flatnonzero(forms[photographs:] == form)
        people["shown"][others] = rng.choice(owners if len(owners) else photographs, len(others))

    names, chunks = people["processid"], people["chunk"]
    places = people["split"].tobytes()
    for at, (name, place) in enumerate(zip(_processids(rng, specimens), places, strict=True)):
        digest = hashlib.md5(name, usedforsecurity=False).hexdigest()
        names[at], chunks[at] = name, digest[: SPLITS[place].chunk_digits].encode()
    return people, [FORM_NAMES[form] for form in forms[:photographs]]


def _processids(rng: np.random.Generator, specimens: int) -> Iterator[bytes]:
    """Yield distinct names such as ``GMPPO5563-21``."""
    for code in rng.choice(_LETTERS**2 * _RECORDS_PER_PROJECT, specimens, replace=False):
        project, record = divmod(int(code), _RECORDS_PER_PROJECT)
        letters = bytes((65 + project // _LETTERS, 65 + project % _LETTERS))
        yield b"GMP%s%03d-%d" % (letters, record + 1, 20 + project % 4)


@lru_cache(maxsize=1)
def lineages(seed: int, specimens: int) -> Lineages:
    """Generate the lineages of a release with this number of specimens."""
    rng = np.random.default_rng((seed, 0))
    counts = split_counts(specimens)
    pools: dict[str, range] = {}
    total = 0
    for names, most, specimens_each in _POOLS:
        size = min(most, -(-counts[names[0]] // specimens_each))
        pools |= dict.fromkeys(names, range(total, total + size))
        total += size
    shares = np.array([genus.weight for genus in GENERA])
    genera = rng.choice(len(GENERA), total, p=shares / shares.sum())
    # Lineages of the first two pools have binomial names, and all of these names are distinct.
    named = pools["key_unseen"].stop
    binomials = [f"{genus.name} {epithet}" for genus in GENERA for epithet in EPITHETS]
    shares = np.repeat(shares, len(EPITHETS))
    chosen = rng.choice(len(binomials), named, replace=False, p=shares / shares.sum())
    genera[:named] = chosen // len(EPITHETS)
    species = [binomials[number] for number in chosen] + [""] * (total - named)
    for number in pools["other_heldout"]:
        species[number] = _provisional_name(GENERA[genera[number]].name, number)
    labels = [
        (PHYLUM, *GENERA[genus][:5], name) for genus, name in zip(genera, species, strict=True)
    ]
    forms = np.array([FORM_NAMES.index(genus.form) for genus in GENERA], dtype=np.uint8)[genera]
    codes = rng.choice(_LETTERS**2 * 10_000, total, replace=False).tolist()
    bins = [
        f"BOLD:A{chr(65 + code // 260_000)}{chr(65 + code // 10_000 % 26)}{code % 10_000:04d}"
        for code in codes
    ]
    # Barcodes of a genus are similar, and those of a lineage are more similar.
    ancestor = rng.choice(_BASES, BARCODE_LENGTH)
    genus_barcodes = substitute(np.tile(ancestor, (len(GENERA), 1)), rng, _CHANGES_PER_GENUS)
    barcodes = substitute(genus_barcodes[genera], rng, _CHANGES_PER_LINEAGE)
    return Lineages(forms, labels, bins, barcodes, pools)


def _provisional_name(genus: str, number: int) -> str:
    return (
        f"{genus} sp. {number}BR",
        f"{genus} sp. BIOUG{number:05d}",
        f"{genus} cf. {EPITHETS[number % len(EPITHETS)]} DHJ{number:02d}",
        f"{genus.lower()}Janzen{number:02d} Janzen{number:02d}",
    )[number % 4]


def substitute(
    barcodes: NDArray[np.uint8], rng: np.random.Generator, changes: int
) -> NDArray[np.uint8]:
    """Substitute this number of bases in each barcode, in place, and return the barcodes."""
    position = rng.integers(BARCODE_LENGTH, size=(len(barcodes), changes))
    np.put_along_axis(barcodes, position, rng.choice(_BASES, position.shape), axis=1)
    return barcodes
