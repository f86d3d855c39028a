"""RFC 7396: the examples of its appendix, and that diff and apply are inverse."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.merge_patch import apply, diff

SCALARS = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=6)
KEYS = st.sampled_from(["a", "b", "c", "lines", "Ω"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
VIEWS = st.dictionaries(KEYS, VALUES, max_size=5)
PATCHES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def exactly(value: Any) -> Any:
    """A form in which True, 1 and 1.0 differ."""
    if isinstance(value, dict):
        return {key: exactly(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    return (type(value).__name__, value)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_apply_gives_the_results_of_the_appendix(target: Any, patch: Any, result: Any) -> None:
    assert apply(target, patch) == result


@given(VIEWS, VIEWS)
def test_applying_the_difference_gives_the_new_view(old: Any, new: Any) -> None:
    before = copy.deepcopy((old, new))
    assert exactly(apply(old, diff(old, new))) == exactly(new)
    assert (old, new) == before


@given(VIEWS)
def test_equal_views_have_an_empty_difference(view: Any) -> None:
    assert diff(view, copy.deepcopy(view)) == {}


@given(VIEWS, PATCHES)
def test_applying_a_patch_twice_is_applying_it_once(view: Any, patch: Any) -> None:
    once = apply(view, patch)
    assert exactly(apply(once, patch)) == exactly(once)


@given(VIEWS, VIEWS, VIEWS)
def test_a_chain_of_differences_leads_to_the_last_view(first: Any, second: Any, third: Any) -> None:
    state = apply(apply(first, diff(first, second)), diff(second, third))
    assert exactly(state) == exactly(third)


def test_one_changed_line_gives_a_patch_of_that_line_only() -> None:
    old = {"lines": {"x": {"quantity": 1, "name": "tea"}, "y": {"quantity": 2}}, "status": "open"}
    new = {"lines": {"x": {"quantity": 3, "name": "tea"}}, "status": "open"}
    assert diff(old, new) == {"lines": {"x": {"quantity": 3}, "y": None}}


@pytest.mark.parametrize("new", [{"a": None}, {"a": {"b": None}}, {"b": {"c": {"d": None}}}])
def test_a_view_with_null_is_refused(new: Any) -> None:
    with pytest.raises(ValueError, match="null"):
        diff({"b": 1}, new)
