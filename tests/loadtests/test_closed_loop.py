import asyncio

import pytest

from loadtests.closed_loop import closed_loop, each_once


async def test_every_caller_has_one_request_open_at_a_time():
    running = set()

    async def action(caller, done):
        assert caller not in running
        running.add(caller)
        await asyncio.sleep(0)
        running.discard(caller)

    result = await closed_loop(action, callers=5, seconds=0.05, warmup_seconds=0.01)
    assert result.requests > 0
    assert result.errors == 0
    assert all(result.acknowledged)


async def test_an_action_that_raises_is_an_error_and_no_acknowledgement():
    async def action(caller, done):
        await asyncio.sleep(0)
        if done % 2:
            raise ValueError

    result = await closed_loop(action, callers=1, seconds=0.05, warmup_seconds=0)
    assert result.errors == result.outcomes["ValueError"]
    assert result.requests == result.outcomes["ok"]


async def test_each_once_does_all_of_them_with_that_many_at_a_time():
    done, running = [], 0

    async def action(number):
        nonlocal running
        running += 1
        assert running <= 3
        await asyncio.sleep(0)
        running -= 1
        done.append(number)

    latencies, seconds = await each_once(action, 10, callers=3)
    assert sorted(done) == list(range(10))
    assert len(latencies) == 10
    assert all(0 < latency <= seconds for latency in latencies)


async def test_each_once_raises_what_an_action_raised():
    async def action(number):
        raise ValueError

    with pytest.raises(ExceptionGroup):
        await each_once(action, 3, callers=2)
