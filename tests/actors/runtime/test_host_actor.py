"""What runs in the actor processes, without Ray: starting while the world is away, and starting once."""

import asyncio
from typing import Any

import pytest

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
