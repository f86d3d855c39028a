"""What runs in the actor processes, without Ray: starting while the world is away, and starting once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from actors.kinds import KINDS
from actors.runtime.figures import STEWARD_FAMILIES, unpacked
from actors.runtime.host_actor import HostActor, RuntimeConfig, StewardActor
from actors.runtime.publishing import gateway_channel
from actors.runtime.wire import Change
from domain.ids import new_id
from storage.message_seal import is_sealed

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


@pytest.mark.stack
async def test_a_host_seals_what_it_tells_of_every_kind(database_url: str, redis_url: str, tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    host = HostActor("host-1", RuntimeConfig(database_url, redis_url, keys_dir=str(tmp_path)))
    await host.ping()
    async with Redis.from_url(redis_url) as redis, redis.pubsub() as spy:
        await spy.subscribe(gateway_channel("gw"))
        assert (await spy.get_message(timeout=5.0))["type"] == "subscribe"
        for kind in KINDS:
            host._host.announcer.publisher.publish("gw", [Change(kind, new_id(), 1, b"\x80", (), "", b"", 0)])
        heard = [(await spy.get_message(timeout=5.0))["data"] for _ in KINDS]
    assert all(is_sealed(message) for message in heard)
    await host.stop()
    await host._host.announcer.publisher._bus._bus.close()
    await host._host._journal.close()
    for task in asyncio.all_tasks() - before:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
