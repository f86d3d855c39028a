"""Hybrid logical clocks: never back, never behind what was seen, never dragged along."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hlc import AHEAD_MS_MAX, HybridClock, parse, restamped, stamp

MS = st.integers(0, 2**47)


@given(st.lists(st.tuples(MS, st.one_of(st.none(), MS)), max_size=30))
def test_every_stamp_is_later_than_all_before_it(steps: list[tuple[int, int | None]]) -> None:
    now = 0
    clock = HybridClock(lambda: now, "d")
    last = ""
    for now, seen in steps:
        if seen is not None:
            clock.observe(stamp(seen, 7, "other"))
        given_now = clock.now()
        assert given_now > last
        assert parse(given_now)[0] <= max(now, parse(last)[0] if last else 0, seen or 0) + AHEAD_MS_MAX + 1
        last = given_now


def test_a_clock_is_not_dragged_far_ahead() -> None:
    clock = HybridClock(lambda: 1_000, "d")
    clock.observe(stamp(1_000 + AHEAD_MS_MAX + 1))
    assert parse(clock.now()) == (1_000, 0, "d")
    clock.observe(stamp(1_000 + AHEAD_MS_MAX))
    assert parse(clock.now()) == (1_000 + AHEAD_MS_MAX, 1, "d")


def test_a_clock_goes_on_after_its_last_stamp_though_the_wall_clock_went_back() -> None:
    last = HybridClock(lambda: 9_000_000, "d").now()
    assert HybridClock(lambda: 5, "d", last).now() > last


@pytest.mark.parametrize("text", ["", "x", "018f2c3a4b5c", "018f2c3a4b5c-0001-", "018F2C3A4B5C-0001"])
def test_what_is_no_stamp_is_refused_and_kept_raw(text: str) -> None:
    with pytest.raises(ValueError, match="not an hlc stamp"):
        parse(text)
    assert restamped(text, 5) == ("", text)


def test_a_stamp_a_year_ahead_is_replaced_and_kept() -> None:
    raw = stamp(10**12, 3, "d")
    assert restamped(raw, 5) == (stamp(5, 3, "d"), raw)
    assert restamped(stamp(5 + AHEAD_MS_MAX, 3, "d"), 5) == (stamp(5 + AHEAD_MS_MAX, 3, "d"), "")
