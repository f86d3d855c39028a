"""What runs in the actor processes, without Ray: starting while the world is away, and starting once."""

import asyncio
from typing import Any

import pytest

from actors.runtime.figures import STEWARD_FAMILIES, unpacked
from actors.runtime.host_actor import HostActor, RuntimeConfig, StewardActor

NOWHERE = RuntimeConfig("postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")


async def test_a_host_that_cannot_start_yet_leaves_nothing_behind_by_its_attempts() -> None:
    host = HostActor("host-1", NOWHERE)
    before = asyncio.all_tasks()
    for _ in range(3):
        with pytest.raises(OSError):  # noqa: PT011 - of no other call
            await host.ping()
    assert asyncio.all_tasks() == before


async def test_a_steward_that_is_begun_twice_at_once_tends_once() -> None:
    reached: list[RuntimeConfig] = []

    def reach(config: RuntimeConfig) -> Any:
        reached.append(config)

    before = asyncio.all_tasks()
    steward = StewardActor(NOWHERE, reach)
    await asyncio.gather(steward.begin(), steward.begin())
    assert len(reached) == 1
    for task in asyncio.all_tasks() - before:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_steward_says_what_it_moved_and_seized() -> None:
    before = asyncio.all_tasks()
    steward = StewardActor(NOWHERE, lambda _: None)  # type: ignore[arg-type,return-value]  # it reaches nobody here
    await steward.begin()
    steward._steward.moved = 64
    said = {one.family: one.value for one in unpacked(await steward.figures())}
    assert set(said) == set(STEWARD_FAMILIES)
    assert said["atrium_steward_shards_moved"] == 64
    for task in asyncio.all_tasks() - before:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
