import numpy as np
import pytest

from conversion.synthetic.forms import FORMS
from conversion.synthetic.photograph import FULL_SIZE, TINY_SIZE, photograph, tiny_photograph


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_photographed(form: str) -> None:
    taken = photograph(form, 5)
    assert taken.picture.size == FULL_SIZE
    left, top, right, bottom = taken.box.x0, taken.box.y0, taken.box.x1, taken.box.y1
    # What is inside of the box is darker than the pale dish around.
    grey = np.asarray(taken.picture.convert("L"))
    inside = grey[max(0, top) : bottom, max(0, left) : right]
    assert inside.min() < grey.mean() - 40


def test_photographs_differ_by_seed_alone() -> None:
    first, again, other = photograph("fly", 1), photograph("fly", 1), photograph("fly", 2)
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.box == again.box
    assert first.picture.tobytes() != other.picture.tobytes()


def test_some_boxes_pass_the_border() -> None:
    boxes = [photograph("lacewing", seed).box for seed in range(60)]
    assert any(box.x0 < 0 or box.x1 > FULL_SIZE[0] for box in boxes)


def test_tiny_photographs_have_a_box_within() -> None:
    for seed in range(50):
        taken = tiny_photograph(seed)
        assert taken.picture.size == TINY_SIZE
        assert 0 <= taken.box.x0 < taken.box.x1 <= TINY_SIZE[0]
        assert 0 <= taken.box.y0 < taken.box.y1 <= TINY_SIZE[1]
