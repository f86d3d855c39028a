"""Shards move without refusing or losing anything (invariants 1, 2 and 11)."""

import asyncio

import pytest

from actors.runtime.shards import shard_of
from actors.runtime.wire import NOT_OWNER, READ, Envelope, Reply
from domain.errors import DeadlineExceeded
from storage.journal.interface import Fenced
from tests.actors.runtime.counter import OWNER, Add
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual

TWO = ("host-1", "host-2")


@virtual
async def test_commands_during_a_hand_over_are_neither_refused_nor_lost():
    async with Rig(hosts=TWO) as rig:
        keys = rig.keys_on("host-1", 5)
        shards = [shard_of("counter", key) for key in keys]
        done = asyncio.Event()
        answered = []

        async def keep_asking(key):
            while not done.is_set():
                begun = asyncio.get_running_loop().time()
                answered.append(await rig.client.ask("counter", key, Add(1), actor=OWNER))
                assert asyncio.get_running_loop().time() - begun < 1.0
                await asyncio.sleep(0.001)

        asking = [asyncio.create_task(keep_asking(key)) for key in keys]
        await asyncio.sleep(0.2)
        for source, target in [TWO, TWO[::-1], TWO]:
            live = await rig.hosts[source].release(shards, target)
            await rig.hosts[target].adopt(live)
            await asyncio.sleep(0.3)
        done.set()
        await asyncio.gather(*asking)
        assert len(answered) == sum(len(rig.rows(key)) for key in keys)
        assert all([row.version for row in rig.rows(key)] == list(range(1, len(rig.rows(key)) + 1)) for key in keys)


@virtual
async def test_the_target_has_the_live_entities_in_memory_before_they_are_asked_for_and_keeps_them():
    async with Rig(hosts=TWO) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        await asyncio.sleep(2_000)
        await rig.client.read("counter", key, actor=OWNER)
        live = await rig.host.release([shard_of("counter", key)], "host-2")
        assert live == [f"counter/{key}"]
        assert rig.host.status().live == {}
        await rig.hosts["host-2"].adopt(live)
        await asyncio.sleep(5)
        assert rig.hosts["host-2"].status().live == {"counter": 1}


@virtual
async def test_a_host_answers_for_its_own_shards_only():
    async with Rig(hosts=TWO) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        await rig.host.release([shard_of("counter", key)], "host-2")
        assert (await rig.client.ask("counter", key, Add(1), actor=OWNER)).version == 2
        assert rig.host.status().executed == 1
        assert rig.hosts["host-2"].status().executed == 1


@virtual
async def test_what_is_being_loaded_when_its_shard_leaves_does_not_arrive_when_it_has_come_back():
    """There and back again within one slow query: the answer of that query is of the past."""
    async with Rig(hosts=TWO) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        await rig.host.residents.passivate([f"counter/{key}"])
        load, slow = rig.journal.load, asyncio.Event()

        async def slow_load(keys):
            found = await load(keys)
            await slow.wait()
            return found

        rig.journal.load = slow_load
        early = asyncio.create_task(rig.client.read("counter", key, actor=OWNER))
        await asyncio.sleep(0.1)
        rig.journal.load = load
        shards = [shard_of("counter", key)]
        await rig.host.release(shards, "host-2")
        await rig.hosts["host-2"].adopt([])
        assert (await rig.client.ask("counter", key, Add(1), actor=OWNER)).version == 2
        await rig.hosts["host-2"].release(shards, "host-1")
        await rig.host.adopt([])
        slow.set()
        assert (await rig.client.ask("counter", key, Add(1), actor=OWNER)).version == 3
        assert (await early).version >= 1


@virtual
async def test_a_hand_over_whose_answer_was_lost_leaves_one_owner_and_no_stale_memory():
    async with Rig(hosts=TWO) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        hand_over = rig.journal.hand_over

        async def lose_the_answer(lease, shards, to):
            await hand_over(lease, shards, to)
            raise OSError("the answer was lost")

        rig.journal.hand_over = lose_the_answer
        shards = [shard_of("counter", key)]
        with pytest.raises(OSError, match="lost"):
            await rig.host.release(shards, "host-2")
        rig.journal.hand_over = hand_over
        assert rig.host.status().live == {}
        assert (await rig.client.ask("counter", key, Add(1), actor=OWNER)).version == 2
        await rig.hosts["host-2"].release(shards, "host-1")
        await rig.host.adopt([])
        assert (await rig.client.ask("counter", key, Add(1), actor=OWNER)).data == {"total": 3}


@virtual
async def test_the_answer_to_a_hand_over_that_a_later_one_overtook_brings_nothing_back():
    async with Rig(hosts=TWO) as rig:
        first, second = rig.keys_on("host-1", 2)
        for key in (first, second):
            await rig.client.ask("counter", key, Add(1), actor=OWNER)
        hand_over = rig.journal.hand_over

        async def slow_answer(lease, shards, to):
            shard_map = await hand_over(lease, shards, to)
            if shard_of("counter", first) in shards:
                await asyncio.sleep(1)
            return shard_map

        rig.journal.hand_over = slow_answer
        slow = asyncio.create_task(rig.host.release([shard_of("counter", first)], "host-2"))
        await asyncio.sleep(0.1)
        await rig.host.release([shard_of("counter", second)], "host-2")
        await slow
        executed = rig.host.status().executed
        replies: list[Reply] = []
        env = Envelope(1, READ, "counter", second, b"", b"", b"", OWNER, "", "", 1 << 60)
        rig.host.submit(env, replies.append)
        await asyncio.sleep(0.1)
        assert [reply.status for reply in replies] == [NOT_OWNER]
        assert (await rig.client.ask("counter", second, Add(1), actor=OWNER)).version == 2
        assert rig.host.status().executed == executed


@virtual
async def test_a_hand_over_that_did_not_happen_leaves_the_shards_where_they_were():
    async with Rig(hosts=TWO) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)

        async def refuse(lease, shards, to):
            raise OSError("the database is away")

        rig.journal.hand_over = refuse
        with pytest.raises(OSError, match="away"):
            await rig.host.release([shard_of("counter", key)], "host-2")
        assert (await rig.client.ask("counter", key, Add(1), actor=OWNER)).version == 2
        assert rig.store.owners[shard_of("counter", key)] == "host-1"


@virtual
async def test_the_lease_renewed_after_a_failed_hand_over_does_not_fence_a_commit_under_way():
    async with Rig(hosts=TWO) as rig:
        key, other = rig.keys_on("host-1", 2)
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        await rig.client.ask("counter", other, Add(1), actor=OWNER)
        asked = []

        async def refuse(lease, shards, to):
            asked.append(asyncio.create_task(rig.client.ask("counter", other, Add(1), actor=OWNER)))
            await asyncio.sleep(0.1)
            raise OSError("the database is away")

        async def slow_way(rows):
            await asyncio.sleep(0.3)

        rig.journal.hand_over = refuse
        rig.gate.before_commit = slow_way
        with pytest.raises(OSError, match="away"):
            await rig.host.release([shard_of("counter", key)], "host-2")
        assert (await asked[0]).version == 2
        assert rig.host.status().running


@virtual
async def test_a_fenced_host_that_is_to_release_ends_instead():
    async with Rig(hosts=TWO) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        await rig.journal.take_epoch("host-1")
        with pytest.raises(Fenced):
            await rig.host.release([shard_of("counter", key)], "host-2")
        assert not rig.host.status().running


@virtual
async def test_a_superseded_incarnation_acknowledges_nothing_and_forgets_everything():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        old = rig.host
        zombie = rig.transport.endpoints["host-1"]
        new = await rig.start_host("host-1")
        rig.transport.endpoints["host-1"] = zombie
        for ask in (
            rig.client.ask("counter", "a", Add(1), actor=OWNER, deadline_ms=300),
            rig.client.read("counter", "a", actor=OWNER, deadline_ms=300),
        ):
            with pytest.raises(DeadlineExceeded):
                await ask
        assert not old.status().running
        assert old.status().live == {}
        assert len(rig.rows("a")) == 1
        rig.transport.endpoints["host-1"] = type(zombie)(new)
        assert (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).version == 2


@virtual
async def test_a_stopped_host_has_committed_and_snapshotted_and_sends_those_who_wait_away():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % 1)
        rig.gate.read_seconds = 1.0
        waiting = asyncio.create_task(rig.client.ask("counter", "b", Add(1), actor=OWNER))
        await asyncio.sleep(0.5)
        repeat = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER, command_id=b"%016d" % 1))
        await turns_of_the_loop()
        await rig.host.stop()
        rig.gate.read_seconds = 0.0
        assert rig.store.snapshots["counter", "a"].version == 1
        await asyncio.sleep(0.1)
        assert repeat.done()
        await rig.start_host("host-1")
        assert (await waiting).version == 1


@virtual
async def test_a_hand_over_whose_caller_went_away_does_not_leave_its_shards_with_nobody():
    async with Rig(hosts=("host-1", "host-2")) as rig:
        key = rig.key_on("host-1")
        await rig.client.ask("counter", key, Add(1), actor=OWNER)
        rig.gate.read_seconds = 0.1
        moving = asyncio.create_task(rig.host.release([shard_of("counter", key)], "host-2"))
        await asyncio.sleep(0.15)
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        answer = await rig.client.ask("counter", key, Add(1), actor=OWNER, deadline_ms=3_000)
        assert answer.version == 2


@virtual
async def test_stale_routes_do_not_pile_up_looks_at_the_map_when_the_database_is_slow():
    async with Rig(hosts=TWO) as rig:
        env = Envelope(1, READ, "counter", rig.key_on("host-2"), b"", b"", b"", OWNER, "", "", 1 << 60)
        replies: list[Reply] = []
        rig.gate.read_seconds = 4.0
        rig.gate.operations.clear()
        for _ in range(100):
            rig.host.submit(env, replies.append)
            await asyncio.sleep(0.1)
        assert {reply.status for reply in replies} == {NOT_OWNER}
        assert rig.gate.operations.count("shard_map") < 12


@virtual
async def test_an_idle_host_learns_that_it_was_superseded_before_anybody_asks_it():
    async with Rig() as rig:
        old = rig.host
        await rig.placement.take_epoch("host-1")
        await asyncio.sleep(2.5)
        assert not old.running
