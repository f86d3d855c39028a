"""Snapshots are a cache, and entities leave memory when idle or too many (invariants 7 and 8)."""

import asyncio

import msgspec
import pytest

from actors.runtime.client import Answer
from actors.runtime.wire import VIEW_JSON
from domain.errors import Internal, NotFound
from storage.journal.interface import JournalError
from tests.actors.runtime.counter import OWNER, Add, CounterKind
from tests.actors.runtime.harness import Rig, virtual


async def total(rig: Rig, id: str) -> int:
    answer = await rig.client.read("counter", id, actor=OWNER, want=VIEW_JSON)
    found: int = msgspec.json.decode(answer.view)["total"]
    return found


@virtual
async def test_an_idle_entity_leaves_memory_after_a_snapshot_and_comes_back_unchanged():
    async with Rig(idle_seconds_max=10) as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        await asyncio.sleep(8)
        assert rig.host.status().live == {"counter": 1}
        await asyncio.sleep(4)
        assert rig.host.status().live == {}
        assert rig.store.snapshots["counter", "a"].version == 1
        assert await total(rig, "a") == 5


@virtual
async def test_an_entity_in_use_stays():
    async with Rig(idle_seconds_max=3) as rig:
        for _ in range(6):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
            await asyncio.sleep(2)
        assert rig.host.status().activations == 1


@virtual
async def test_what_does_not_exist_is_not_counted_and_leaves_memory_at_once():
    async with Rig() as rig:
        await rig.client.ask("counter", "real", Add(1), actor=OWNER)
        with pytest.raises(NotFound):
            await rig.client.read("counter", "ghost", actor=OWNER)
        assert rig.host.status().live == {"counter": 1}
        await asyncio.sleep(3)
        assert set(rig.host._cells) == {"counter/real"}


@virtual
async def test_past_the_memory_budget_the_least_recently_used_leave():
    async with Rig(live_bytes_max=8_000) as rig:
        for number in range(10):
            await rig.client.ask("counter", f"e{number}", Add(1), actor=OWNER)
            await asyncio.sleep(0.05)
        await asyncio.sleep(2)
        left = set(rig.host._cells)
        assert 0 < len(left) < 10
        assert left == {f"counter/e{number}" for number in range(10 - len(left), 10)}
        assert await total(rig, "e0") == 1


@virtual
async def test_an_entity_with_a_commit_under_way_does_not_leave():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.gate.open.clear()
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.01)
        assert await rig.host.residents.passivate(["counter/a"]) == 0
        rig.gate.open.set()
        assert (await asked).version == 2


@virtual
async def test_an_entity_used_while_its_snapshot_is_written_does_not_leave():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.gate.read_seconds = 1.0
        leaving = asyncio.create_task(rig.host.residents.passivate(["counter/a"]))
        await asyncio.sleep(0.5)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert await leaving == 0
        assert rig.host.status().live == {"counter": 1}


@virtual
async def test_a_busy_entity_is_snapshotted_every_so_many_versions():
    async with Rig(snapshot_every_versions=10) as rig:
        for _ in range(25):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.host.tend()
        assert rig.store.snapshots["counter", "a"].version == 20


@virtual
async def test_a_snapshot_is_not_written_before_its_version_is_committed():
    async with Rig(snapshot_every_versions=1) as rig:
        rig.gate.open.clear()
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.01)
        await rig.host.tend()
        assert rig.store.snapshots == {}
        rig.gate.open.set()
        await asked
        await rig.host.tend()
        assert rig.store.snapshots["counter", "a"].version == 1


@virtual
async def test_loading_is_the_newest_snapshot_and_the_journal_after_it():
    async with Rig(snapshot_every_versions=10) as rig:
        for _ in range(14):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.host.tend()
        assert rig.store.snapshots["counter", "a"].version == 10
        await rig.start_host("host-1")
        assert await total(rig, "a") == 14


@virtual
async def test_without_any_snapshot_nothing_is_lost():
    async with Rig(snapshot_every_versions=2) as rig:
        for number in range(20):
            await rig.client.ask("counter", f"e{number % 4}", Add(number), actor=OWNER)
        await rig.host.residents.passivate(list(rig.host._cells))
        rig.store.snapshots.clear()
        assert [await total(rig, f"e{number}") for number in range(4)] == [40, 45, 50, 55]


@virtual
async def test_a_damaged_snapshot_is_passed_over():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        await rig.host.residents.passivate(["counter/a"])
        damaged = msgspec.structs.replace(rig.store.snapshots["counter", "a"], data=b"\xc1damaged")
        rig.store.snapshots["counter", "a"] = damaged
        assert await total(rig, "a") == 5


@virtual
async def test_entities_asked_for_together_are_loaded_by_one_query():
    async with Rig() as rig:
        for number in range(20):
            await rig.client.ask("counter", f"e{number}", Add(1), actor=OWNER)
        await rig.start_host("host-1")
        queries = []
        load = rig.journal.load

        async def counted(keys):
            queries.append(len(keys))
            return await load(keys)

        rig.journal.load = counted
        await asyncio.gather(*(rig.client.read("counter", f"e{number}", actor=OWNER) for number in range(20)))
        assert sum(queries) == 20
        assert len(queries) <= 2


class _Forgetful(CounterKind):
    def apply(self, state, event, meta):
        if meta.version == 3:
            raise ZeroDivisionError("this release cannot apply what an older one recorded")
        return super().apply(state, event, meta)


@virtual
async def test_a_journal_that_cannot_be_replayed_is_a_clear_failure_of_that_entity_alone():
    async with Rig() as rig:
        for _ in range(4):
            await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.client.ask("counter", "b", Add(1), actor=OWNER)
    rig.store.snapshots.clear()
    async with Rig({"counter": _Forgetful()}, store=rig.store) as newer:
        with pytest.raises(Exception, match="unreadable"):
            await newer.client.read("counter", "a", actor=OWNER)
        assert asyncio.get_running_loop().time() < 3
        assert await total(newer, "b") == 1


@virtual
async def test_an_id_that_the_database_cannot_read_does_not_keep_the_others_from_being_loaded():
    async with Rig() as rig:
        for key in ("a", "b", "c"):
            await rig.client.ask("counter", key, Add(1), actor=OWNER)
        await rig.host.residents.passivate(["counter/a", "counter/b", "counter/c"])
        load = rig.journal.load

        async def as_postgres(keys):
            if any("\0" in id_ for _, id_ in keys):
                raise JournalError("invalid byte sequence for encoding UTF8: 0x00")
            return await load(keys)

        rig.journal.load = as_postgres
        ids = ("a", "\0", "b", "\0x", "c")
        asked = [rig.client.read("counter", id_, actor=OWNER, deadline_ms=1_000) for id_ in ids]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(answer, Internal) for answer in answers] == [False, True, False, True, False]
        assert [answer.version for answer in answers if isinstance(answer, Answer)] == [1, 1, 1]
