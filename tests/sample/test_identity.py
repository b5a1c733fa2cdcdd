import hashlib
import re

import numpy as np
import pytest

from bioscan5m_hf.schema.columns import SPLITS, Split
from conversion.sample import identity


@pytest.mark.parametrize("specimens", [8, 200_000])
def test_processids_look_like_bolds_and_are_unique_in_any_case(specimens: int) -> None:
    ids = identity.processids(1, np.arange(specimens), specimens)
    assert len({processid.casefold() for processid in ids}) == specimens
    assert all(re.fullmatch(r"[A-Z]{5}\d{3,5}-2[0-3]", processid) for processid in ids)


def test_sampleids_are_wells_of_plates() -> None:
    ids = identity.sampleids(0, np.arange(5_000))
    assert len(set(ids)) == 5_000
    assert all(re.fullmatch(r"(CBG-A|BIOUG)\d{5}-[A-H](0\d|1[0-2])", one) for one in ids)
    assert {one[:3] for one in ids} == {"CBG", "BIO"}


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split.name)
def test_chunks_of_real_records(split: Split) -> None:
    (digest,) = identity.digests(["CRCBB46471-23"])
    assert digest == "2e"
    assert identity.chunk(digest, split) == "2e"[: split.chunk_digits]


def test_digests_are_md5() -> None:
    assert identity.digests(["GMPPO5563-21"]) == [hashlib.md5(b"GMPPO5563-21").hexdigest()[:2]]
