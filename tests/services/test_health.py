"""Readiness: anybody may ask, as often as they like, so asking must cost no more for that."""

import asyncio

from services.health import Health


async def test_those_who_ask_at_once_wait_for_one_round_of_checks() -> None:
    asked, go = 0, asyncio.Event()

    async def check() -> None:
        nonlocal asked
        asked += 1
        await go.wait()

    health = Health({"database": check}, {"redis": check})
    waiting = [asyncio.ensure_future(health.readiness()) for _ in range(50)]
    gone = asyncio.ensure_future(health.readiness())
    await asyncio.sleep(0)
    gone.cancel()
    go.set()
    assert {found.ready for found in await asyncio.gather(*waiting)} == {True}
    assert asked == 2
    health.draining = True
    assert not (await health.readiness()).ready
    assert asked == 4
