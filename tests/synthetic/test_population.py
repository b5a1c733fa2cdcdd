"""Who the specimens are: splits, names, lineages, barcodes, and whose photograph they show."""

import hashlib
import re

import numpy as np
import pytest

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.columns import SPLITS
from conversion.synthetic.population import BARCODE_LENGTH, lineages, populate, split_counts


@pytest.mark.parametrize("specimens", [8, 9, 15, 16, 40, 100, 2_000, 1_000_000])
def test_every_specimen_has_a_split_and_no_split_is_empty(specimens: int) -> None:
    counts = split_counts(specimens)
    assert list(counts) == [split.name for split in SPLITS]
    assert sum(counts.values()) == specimens
    assert min(counts.values()) >= 1


def test_small_splits_of_a_usual_sample_can_be_worked_with() -> None:
    assert min(split_counts(2_000).values()) >= 20


def test_large_samples_have_upstreams_proportions() -> None:
    assert split_counts(1_000_000)["pretrain"] == pytest.approx(908_000, rel=0.01)


def test_fewer_specimens_than_splits_are_refused() -> None:
    with pytest.raises(UsageError, match=r"7 specimens cannot fill 8 splits.*at least 8"):
        split_counts(7)


@pytest.mark.parametrize("specimens", [8, 97, 2_000])
def test_splits_have_the_sizes_that_were_counted(specimens: int) -> None:
    people, _ = populate(3, specimens, specimens)
    assert np.bincount(people["split"]).tolist() == list(split_counts(specimens).values())


@pytest.mark.parametrize("specimens", [8, 200_000])
def test_processids_look_like_bolds_and_are_unique_in_any_case(specimens: int) -> None:
    ids = [name.decode() for name in populate(1, specimens, 8)[0]["processid"].tolist()]
    assert len({processid.casefold() for processid in ids}) == specimens
    assert all(re.fullmatch(r"[A-Z]{5}\d{3,5}-2[0-3]", processid) for processid in ids)


def test_folders_follow_md5() -> None:
    people, _ = populate(2, 2_000, 8)
    for processid, split, chunk, *_ in people.tolist():
        digest = hashlib.md5(processid).hexdigest()
        assert chunk.decode() == digest[: SPLITS[split].chunk_digits]


def test_another_seed_gives_other_specimens() -> None:
    first, again, other = (populate(at, 100, 8)[0]["processid"].tolist() for at in (0, 0, 1))
    assert first == again
    assert not set(first) & set(other)


def test_specimens_share_photographs_of_their_form_alone() -> None:
    (people, drawn), (_, forms) = populate(0, 3_000, 200), populate(0, 3_000, 3_000)
    shown = people["shown"].tolist()
    assert shown[:200] == list(range(200))
    assert max(shown) < 200
    for specimen in range(200, 3_000):
        if forms[specimen] in drawn:
            assert drawn[shown[specimen]] == forms[specimen]


@pytest.mark.parametrize("specimens", [8, 2_000, 5_150_850])
def test_binomials_are_distinct(specimens: int) -> None:
    named = [species for *_, species in lineages(0, specimens).labels if species]
    assert len(set(named)) == len(named)


def test_bin_codes_are_bolds() -> None:
    codes = lineages(0, 2_000).bins
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"BOLD:A[A-Z]{2}\d{4}", code) for code in codes)


def test_relatives_have_similar_barcodes() -> None:
    lines = lineages(0, 2_000)
    differing: dict[bool, list[int]] = {True: [], False: []}
    for a in range(60):
        for b in range(a):
            relatives = lines.labels[a][:-1] == lines.labels[b][:-1]
            differing[relatives].append(int((lines.barcodes[a] != lines.barcodes[b]).sum()))
    assert 0 < np.mean(differing[True]) < np.mean(differing[False])
    assert 5 < np.mean(differing[False]) / BARCODE_LENGTH * 100 < 30
