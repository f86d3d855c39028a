"""Where on the face: exact, the same for everybody, and nothing beside it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.face_map import OUTLINES, REGIONS, SCALE, VIEWS, inside, region_of

POSITIONS = st.integers(-50, SCALE + 50)
NAMED = [(view, name) for view in VIEWS for name in REGIONS[view]]


def winds_around(polygon, x, y):
    """An independent oracle: the edge or a non-zero winding number, in exact fractions."""
    turns = 0
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y1 == y2 == y and min(x1, x2) <= x <= max(x1, x2):
            return True
        if y1 != y2 and min(y1, y2) <= y <= max(y1, y2):
            crossing = x1 + Fraction((y - y1) * (x2 - x1), y2 - y1)
            if crossing == x:
                return True
            if crossing > x and y != max(y1, y2):
                turns += 1 if y2 > y1 else -1
    return turns != 0


@given(st.sampled_from(VIEWS), POSITIONS, POSITIONS)
def test_inside_agrees_with_the_winding_number(view, x, y):
    for polygon in (OUTLINES[view], *REGIONS[view].values()):
        assert inside(polygon, x, y) == winds_around(polygon, x, y)


@pytest.mark.parametrize(("view", "name"), NAMED)
def test_every_region_lies_on_the_face_and_is_found_in_its_middle(view, name):
    polygon = REGIONS[view][name]
    assert all(inside(OUTLINES[view], x, y) for x, y in polygon)
    middle = sum(x for x, _ in polygon) // len(polygon), sum(y for _, y in polygon) // len(polygon)
    assert region_of(view, *middle) == name


@given(st.sampled_from(VIEWS), POSITIONS, POSITIONS)
def test_a_position_is_on_the_face_or_both_of_its_numbers_are_named(view, x, y):
    if inside(OUTLINES[view], x, y):
        region = region_of(view, x, y)
        assert region == "" or inside(REGIONS[view][region], x, y)
        return
    with pytest.raises(Invalid) as refused:
        region_of(view, x, y)
    errors = refused.value.failure.errors
    assert [(error.path, error.code) for error in errors] == [("x", "outside_face"), ("y", "outside_face")]


@given(st.integers(0, SCALE), st.integers(0, SCALE))
def test_the_right_view_is_the_left_one_in_a_mirror(x, y):
    def named(view, at):
        try:
            return region_of(view, at, y)
        except Invalid:
            return None

    left, right = named("left", x), named("right", SCALE - x)
    assert right == (left.replace("_left", "_right") if left else left)


def test_the_patients_left_is_at_high_x_in_front() -> None:
    assert region_of("front", 780, 400) == "crows_feet_left"
    assert region_of("front", 220, 400) == "crows_feet_right"
    assert region_of("front", 500, 340) == "glabella"


def test_a_position_on_the_face_may_have_no_name() -> None:
    assert region_of("front", 500, 60) == ""


def test_an_unknown_view_names_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        region_of("back", 500, 500)
    assert [(error.path, error.code) for error in refused.value.failure.errors] == [("view", "unknown_view")]
