from __future__ import annotations

import pytest

from bioscan5m_hf.errors import UnknownName
from bioscan5m_hf.schema import configurations as variants
from bioscan5m_hf.schema.columns import SPLITS


def test_each_package_is_a_configuration_whole_and_by_partition() -> None:
    names = [configuration.name for configuration in variants.configurations()]
    assert len(names) == len(set(names)) == 4 * 4 + 1
    for package in ("original_full", "cropped", "original_256", "cropped_256"):
        for ending in ("", "_pretrain", "_train", "_eval"):
            assert package + ending in names
    assert names[-1] == "metadata"


def test_partitions_divide_the_splits() -> None:
    together = [split for name in variants.PARTITIONS for split in variants.splits_of(name)]
    assert sorted(together, key=SPLITS.index) == list(SPLITS)
    assert len(variants.splits_of("eval")) == 6


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("original", "original_full"),
        ("original_train", "original_full_train"),
        ("cropped_256_eval", "cropped_256_eval"),
        ("original_256", "original_256"),
        ("metadata", "metadata"),
    ],
)
def test_configurations_go_by_several_names(given: str, found: str) -> None:
    assert variants.configuration_named(given).name == found


def test_a_wrong_name_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownName, match=r"'cropped_256_train'\?.*original_full_eval"):
        variants.configuration_named("cropped_256_trian")
    with pytest.raises(UnknownName, match="valid names: original_full, cropped,"):
        variants.package_named("thumbnails")
