import numpy as np
import pytest

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.columns import SPLITS
from conversion.sample.allocation import Allocation, split_counts


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
def test_places_are_taken_once_and_counted_from_zero(specimens: int) -> None:
    split, place = Allocation(3, specimens).of(np.arange(specimens))
    for number, count in enumerate(split_counts(specimens).values()):
        assert sorted(place[split == number].tolist()) == list(range(count))
