"""The matching language of the vectors."""

from typing import Any

import pytest

from tests.protocol.matching import mismatch
from tests.protocol.names import Names, UnknownNameError, bound, used


def fits(pattern: Any, value: Any, **names: Any) -> bool:
    return mismatch(pattern, value, Names(names)) is None


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (1, 1),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"$exact": {"a": 1}}, {"a": 1}),
        ({"a": {"$any": True}}, {"a": None}),
        ({"a": {"$absent": True}}, {"b": 1}),
        ({"$type": "text"}, ""),
        ({"$type": "int", "$min": 1, "$max": 3}, 2),
        ({"$one_of": [1, {"x": 1}]}, {"x": 1}),
        ({"$not": {"x": 1}}, {"x": 2}),
        ({"$unordered": [{"a": 1}, {"$any": True}]}, [5, {"a": 1}]),
        ({"$some": [2]}, [1, 2, 3]),
        ({"id": {"$bind": "x"}, "ref": {"$ref": "x"}}, {"id": 4, "ref": 4}),
        ({"$unordered": [{"a": {"$bind": "x"}, "b": 1}, {"a": {"$ref": "x"}}]}, [{"a": 2}, {"a": 2, "b": 1}]),
        ("cart/${c}", "cart/7"),
        ("${n}", 3),
        ({"cart/${c}": 1}, {"cart/7": 1}),
    ],
)
def test_what_fits(pattern: Any, value: Any) -> None:
    assert fits(pattern, value, c="7", n=3)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (1, True),
        (True, 1),
        (1, 2),
        ([1], [1, 2]),
        ({"a": 1}, {}),
        ({"a": 1}, []),
        ({"$exact": {"a": 1}}, {"a": 1, "b": 2}),
        ({"a": {"$absent": True}}, {"a": None}),
        ({"a": {"$any": True}}, {}),
        ({"$type": "int"}, True),
        ({"$min": 1}, 0),
        ({"$max": 1}, 2),
        ({"$one_of": [1, 2]}, 3),
        ({"$not": {"x": 1}}, {"x": 1}),
        ({"$unordered": [1, 1]}, [1, 2]),
        ({"$unordered": [1]}, [1, 1]),
        ({"$some": [4]}, [1, 2, 3]),
        ({"id": {"$bind": "x"}, "ref": {"$ref": "x"}}, {"id": 4, "ref": 5}),
        ("cart/${c}", "cart/8"),
    ],
)
def test_what_does_not_fit(pattern: Any, value: Any) -> None:
    assert not fits(pattern, value, c="7")


def test_a_pattern_that_does_not_fit_binds_nothing() -> None:
    names = Names({})
    assert mismatch({"a": {"$bind": "x"}, "b": 1}, {"a": 1, "b": 2}, names) is not None
    with pytest.raises(UnknownNameError):
        names["x"]
    assert mismatch({"a": {"$bind": "x"}, "b": 1}, {"a": 5, "b": 1}, names) is None
    assert names["x"] == 5


def test_the_mismatch_says_where() -> None:
    assert mismatch({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, Names({})) == "$.a[0].b: 2 instead of 1"


def test_names_of_a_run_stay_the_same_and_those_of_another_differ() -> None:
    one, other = Names({}), Names({})
    assert one.fill("cart/${id:c}") == one.fill({"ent": "cart/${id:c}"})["ent"]
    assert one["id:c"] != other["id:c"]
    assert one["id:c"] != one["id:d"]


def test_texts_can_be_long_without_being_written_out() -> None:
    assert Names({}).fill({"x": {"$repeat": ["ab", 3]}}) == {"x": "ababab"}


def test_what_a_vector_uses_and_binds_is_found() -> None:
    value = [{"a": "x ${one} y", "${two}": {"$ref": "three"}}, {"b": {"$bind": "four"}}]
    assert (used(value), bound(value)) == ({"one", "two", "three"}, {"four"})
