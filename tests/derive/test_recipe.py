from __future__ import annotations

import pytest

from bioscan5m_hf.errors import ReleaseNotFound, UnknownName, UsageError
from bioscan5m_hf.schema.configurations import configurations, described, in_order
from conversion.derive.recipe import Recipe, recipe_for, target_name


def test_crops_are_taken_before_the_originals() -> None:
    found = ["original_full", "cropped"]
    made = recipe_for("cropped_256", found, bbox=True)
    assert made == Recipe("cropped_256", "cropped", False, 256, 75, "catmull-rom")
    made = recipe_for("cropped_256", found, bbox=True, source="original_full")
    assert made == Recipe("cropped_256", "original_full", True, 256, 75, "catmull-rom")


def test_every_package_from_the_originals() -> None:
    found = ["original_full"]
    assert recipe_for("cropped", found, bbox=True) == Recipe(
        "cropped", "original_full", True, None, 90, None
    )
    assert recipe_for("original_256", found, bbox=False) == Recipe(
        "original_256", "original_full", False, 256, 75, "catmull-rom"
    )
    assert recipe_for("cropped_100", found, bbox=True).short_side == 100


def test_boxes_are_needed_for_crops_from_originals_only() -> None:
    with pytest.raises(ReleaseNotFound, match=r"BIOSCAN_5M_Insect_bbox\.tsv"):
        recipe_for("cropped_256", ["original_full"], bbox=False)
    assert not recipe_for("cropped_256", ["cropped"], bbox=False).crop


def test_what_cannot_be_derived() -> None:
    with pytest.raises(UsageError, match="upstream's own cropped_256"):
        recipe_for("cropped_256", ["cropped_256", "original_full"], bbox=True)
    with pytest.raises(UsageError, match="cannot be derived"):
        recipe_for("original_full", ["cropped"], bbox=True)
    with pytest.raises(UsageError, match="cannot be derived from cropped"):
        recipe_for("original_256", ["cropped"], bbox=True, source="cropped")
    with pytest.raises(ReleaseNotFound, match="packages found: original_256"):
        recipe_for("cropped_256", ["original_256"], bbox=True)


def test_a_recipe_outlives_the_manifest() -> None:
    made = recipe_for("cropped_64", ["original_full"], bbox=True)
    assert Recipe.from_json(made.to_json()) == made
    with pytest.raises(TypeError):
        Recipe.from_json({"package": "cropped"})


def test_names() -> None:
    assert target_name("cropped_256", None) == "cropped_256"
    assert target_name("cropped", 128) == "cropped_128"
    assert target_name("original", 128) == "original_128"
    assert target_name("original_full", 256) == "original_256"
    with pytest.raises(UsageError, match="has a size in its name"):
        target_name("cropped_256", 128)
    with pytest.raises(UnknownName, match="did you mean 'cropped_256'"):
        target_name("cropped_265", None)


def test_configurations_of_other_sizes_come_after_upstreams() -> None:
    names = ["cropped_512", "metadata", "original_64", "cropped_64", "cropped_256", "cropped"]
    assert in_order(names) == [
        *("cropped", "cropped_256", "cropped_64", "cropped_512", "original_64"),
    ]
    assert described("original_64").meaning == "whole photographs, shorter side 64 pixels"
    listed = [c.name for c in configurations(["cropped_64"])]
    assert listed == [
        *("cropped_64", "cropped_64_pretrain", "cropped_64_train", "cropped_64_eval", "metadata"),
    ]
