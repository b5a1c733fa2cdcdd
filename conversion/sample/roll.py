"""The roll of all specimens, in compact columns, and the order of their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from conversion.sample import identity
from conversion.sample.population import population, portraits_of

_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Roll:
    """What the archives need to know of every specimen; some 20 bytes each.

    Attributes:
        processids: ASCII, as fixed-size bytes.
        digests: The first byte of md5(processid).
        splits: Places in ``SPLITS``.
        forms: Places in ``FORMS``.
        portraits: Whose photograph a specimen shows.
    """

    processids: NDArray[np.bytes_]
    digests: NDArray[np.uint8]
    splits: NDArray[np.uint8]
    forms: NDArray[np.uint8]
    portraits: NDArray[np.int32]

    def order(self) -> NDArray[np.int64]:
        """The numbers of the specimens in the order of upstream's archives.

        That is by split, by folder within the split, by process id within the folder.
        """
        shifts = np.array([8 - 4 * split.chunk_digits for split in SPLITS], dtype=np.uint16)
        pieces = []
        for number in range(len(SPLITS)):
            members = np.flatnonzero(self.splits == number)
            folders = self.digests[members].astype(np.uint16) >> shifts[number]
            pieces.append(members[np.lexsort((self.processids[members], folders))])
        return np.concatenate(pieces)

    def folder(self, specimen: int) -> str:
        """The folders an image lies in below its package, with slashes: ``train/b/``.

        Args:
            specimen: The number of the specimen.
        """
        split = SPLITS[self.splits[specimen]]
        chunk = identity.chunk(f"{self.digests[specimen]:02x}", split)
        return f"{split.name}/{chunk}/" if chunk else f"{split.name}/"

    def processid(self, specimen: int) -> str:
        """The process id of a specimen.

        Args:
            specimen: Its number.
        """
        return bytes(self.processids[specimen]).decode("ascii")


def call_roll(seed: int, specimens: int, portraits: int) -> Roll:
    """Go through all specimens once.

    Args:
        seed: The seed of the release.
        specimens: How many specimens it has.
        portraits: How many different photographs it has.
    """
    people = population(seed, specimens)
    processids, digests, splits, forms = [], [], [], []
    for start in range(0, specimens, _BLOCK):
        index = np.arange(start, min(start + _BLOCK, specimens), dtype=np.int64)
        ids = identity.processids(seed, index, specimens)
        processids.append(np.array(ids, dtype="S16"))
        digests.append(np.frombuffer(bytes.fromhex("".join(identity.digests(ids))), np.uint8))
        splits.append(people.allocation.of(index)[0].astype(np.uint8))
        forms.append(people.forms(index))
    looks = np.concatenate(forms)
    return Roll(
        np.concatenate(processids),
        np.concatenate(digests),
        np.concatenate(splits),
        looks,
        portraits_of(seed, looks, portraits),
    )
