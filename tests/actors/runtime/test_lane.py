"""A client's dealings with a host that hangs (invariant 11: a crash is over in 5 s)."""

import asyncio

import pytest

from tests.actors.runtime.counter import OWNER, Add
from tests.actors.runtime.harness import Rig, virtual

TWO = ("host-1", "host-2")


@pytest.mark.parametrize(("seized_after", "done_within"), [(3.5, 4.5), (5.0, 5.6)])
def test_what_waited_for_a_host_that_hangs_goes_to_its_heir_without_a_second_time_out(seized_after, done_within):
    @virtual
    async def story():
        async with Rig(hosts=TWO) as rig:
            endpoint, loop = rig.transport.endpoints["host-1"], asyncio.get_running_loop()
            await rig.client.ask("counter", rig.key_on("host-1"), Add(1), actor=OWNER)
            endpoint.exchange = lambda _: asyncio.Event().wait()
            begun = loop.time()

            async def ask(key, after):
                await asyncio.sleep(after)
                await rig.client.ask("counter", key, Add(1), actor=OWNER)
                return loop.time() - begun

            times = [0.0, 0.001, *(0.3 * at for at in range(1, 11))]
            keys = rig.keys_on("host-1", len(times))
            asked = [asyncio.create_task(ask(key, after)) for key, after in zip(keys, times, strict=True)]
            elsewhere = asyncio.create_task(ask(rig.key_on("host-2"), seized_after + 0.05))
            await asyncio.sleep(seized_after)
            owners = (await rig.placement.shard_map()).owners
            shards = [shard for shard, owner in enumerate(owners) if owner == "host-1"]
            await rig.placement.seize(shards, "host-1", "host-2")
            await rig.hosts["host-2"].adopt([])
            assert max(await asyncio.gather(*asked, elsewhere)) < done_within

    story()
