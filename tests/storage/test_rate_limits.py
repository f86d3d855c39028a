"""Counting how often a client has asked: in Redis and alone, with the same answers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import new_id
from storage.bus import BusAway
from storage.rate_limits import Grant, MemoryCounters, RedisCounters


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_who_asks_all_the_time_gets_the_quota_in_each_window_and_no_more() -> None:
    clock = Clock()
    counters = MemoryCounters(clock)
    by_window: dict[int, int] = {}
    for _ in range(1_200):
        clock.now += 0.5
        grant = await counters.take("a", 10, 60, 1)
        by_window[grant.at] = by_window.get(grant.at, 0) + grant.granted
    assert max(by_window.values()) <= 10
    assert 90 <= sum(by_window.values()) <= 110


async def test_who_waits_as_long_as_told_gets_one() -> None:
    clock = Clock()
    counters = MemoryCounters(clock)
    for _ in range(200):
        grant = await counters.take("a", 7, 60, 1)
        if not grant.granted:
            clock.now += grant.wait_ms / 1_000 - 0.002
            assert (await counters.take("a", 7, 60, 1)).granted == 0
            clock.now += 0.003
            assert (await counters.take("a", 7, 60, 1)).granted == 1


async def test_what_was_not_used_comes_back() -> None:
    clock = Clock()
    counters = MemoryCounters(clock)
    first = await counters.take("a", 100, 60, 80)
    assert (first.granted, first.remaining) == (80, 20)
    second = await counters.take("a", 100, 60, 10, 75, first.at)
    assert (second.granted, second.remaining) == (10, 85)
    clock.now += 120
    third = await counters.take("a", 100, 60, 100, 10, first.at)
    assert third.granted == 100, "nobody owes what an old window granted"


@pytest.mark.parametrize("wanted", [1, 30])
async def test_one_client_s_count_is_not_another_s(wanted: int) -> None:
    counters = MemoryCounters(Clock())
    assert (await counters.take("a", 30, 60, 30)).granted == 30
    assert (await counters.take("a", 30, 60, wanted)).granted == 0
    assert (await counters.take("b", 30, 60, wanted)).granted == wanted


async def test_the_clients_that_are_remembered_are_bounded() -> None:
    counters = MemoryCounters(Clock(), keys_max=3)
    for name in "abcd":
        await counters.take(name, 1, 60, 1)
    assert (await counters.take("d", 1, 60, 1)).granted == 0
    assert (await counters.take("a", 1, 60, 1)).granted == 1


@given(st.lists(st.tuples(st.floats(0, 90), st.integers(1, 40)), max_size=40), st.integers(1, 50))
async def test_grants_never_exceed_the_quota_and_say_how_long_to_wait(
    asked: list[tuple[float, int]], quota: int
) -> None:
    clock = Clock()
    counters = MemoryCounters(clock)
    for later, wanted in asked:
        clock.now += later
        grant = await counters.take("a", quota, 60, wanted)
        assert 0 <= grant.granted <= min(wanted, quota)
        assert grant.remaining >= 0
        assert 1 <= grant.wait_ms <= 120_000
        if grant.granted < wanted:
            assert grant.remaining == 0


@pytest.mark.stack
async def test_redis_counts_as_memory_does(redis_url: str) -> None:
    in_redis = RedisCounters(redis_url)
    alone = MemoryCounters(time.time)
    key, width = new_id(), 3_600
    try:
        at = 0
        for wanted, back in ((1, 0), (40, 0), (20, 15), (50, 0), (50, 0), (1, 0), (5, 30), (100, 0)):
            mine = await alone.take(key, 100, width, wanted, back, at)
            theirs = await in_redis.take(key, 100, width, wanted, back, at)
            assert (mine.granted, mine.remaining) == (theirs.granted, theirs.remaining)
            assert abs(mine.wait_ms - theirs.wait_ms) < 2_000
            at = theirs.at
    finally:
        await in_redis.close()


@pytest.mark.stack
async def test_two_gateways_share_one_quota(redis_url: str) -> None:
    one, two = RedisCounters(redis_url), RedisCounters(redis_url)
    key = new_id()
    try:
        grants: list[Grant] = []
        for _ in range(6):
            grants += [await one.take(key, 50, 3_600, 10), await two.take(key, 50, 3_600, 10)]
        assert sum(grant.granted for grant in grants) == 50
    finally:
        await one.close()
        await two.close()


async def test_without_redis_it_says_so_at_once() -> None:
    counters = RedisCounters("redis://127.0.0.1:9/0")
    began = time.monotonic()
    with pytest.raises(BusAway):
        await counters.take("a", 10, 60, 1)
    assert time.monotonic() - began < 2
    await counters.close()
