"""Watchers are told of committed changes, in order; for nobody nothing is encoded."""

import asyncio

import msgspec
import pytest

from domain.errors import Internal, NotFound
from domain.merge_patch import apply as apply_patch
from storage.journal.interface import CommitUnknown
from tests.actors.runtime.counter import ANYONE, OWNER, Add, CounterKind, Explode, Join, Point
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual


def told(rig: Rig, gateway: str = "g") -> list[tuple[str, int]]:
    return [(change.id, change.version) for to, changes in rig.told.published for change in changes if to == gateway]


class _Counting(CounterKind):
    def __init__(self) -> None:
        self.views = 0

    def view(self, state, signals, version):
        self.views += 1
        return super().view(state, signals, version)


@virtual
async def test_nothing_is_encoded_for_what_nobody_watches():
    kind = _Counting()
    async with Rig({"counter": kind}) as rig:
        await rig.client.watch_group("elsewhere", gateway="g")
        for number in range(10):
            await rig.client.ask("counter", f"e{number}", Add(1), actor=OWNER)
        assert kind.views == 0
        assert rig.told.published == []


class _Quiet(CounterKind):
    """Tells of large amounts only."""

    def tells(self, events):
        return any(getattr(event, "amount", 0) > 100 for event in events)


@virtual
async def test_what_a_kind_does_not_tell_of_is_within_the_next_that_it_tells():
    async with Rig({"counter": _Quiet()}) as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        for amount in (1, 2, 500, 600):
            await rig.client.ask("counter", "a", Add(amount), actor=OWNER)
        assert told(rig) == [("a", 4), ("a", 5)]
        whole, patch = (change for _, batch in rig.told.published for change in batch)
        assert (whole.whole, patch.whole) == (True, False)
        view = msgspec.msgpack.decode(whole.patch)
        assert view["total"] == 508
        assert apply_patch(view, msgspec.msgpack.decode(patch.patch))["total"] == 1108


@virtual
async def test_a_change_is_a_merge_patch_from_the_version_before():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        answer = await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        view = msgspec.msgpack.decode(answer.view)
        for amount in (1, 2, 3):
            await rig.client.ask(
                "counter", "a", Add(amount), actor=OWNER, device="tablet", command_id=b"%016d" % amount
            )
        changes = [change for _, batch in rig.told.published for change in batch]
        assert [change.version for change in changes] == [2, 3, 4]
        for change in changes:
            view = apply_patch(view, msgspec.msgpack.decode(change.patch))
        assert view == {"total": 11, "adds": 4, "rang": 0, "version": 4}
        assert (changes[0].device, changes[0].command_id) == ("tablet", b"%016d" % 1)


@virtual
async def test_a_watch_tells_what_is_newer_than_the_watcher_has():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        assert (await rig.client.watch("counter", "a", gateway="g", actor=OWNER, have=1)).view == b""
        assert (await rig.client.watch("counter", "a", gateway="g", actor=OWNER, have=0)).view != b""


@virtual
async def test_between_the_view_of_a_watch_and_the_changes_after_it_nothing_falls():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.gate.open.clear()
        first = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await turns_of_the_loop()
        watch = asyncio.create_task(rig.client.watch("counter", "a", gateway="g", actor=OWNER))
        await turns_of_the_loop()
        second = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await turns_of_the_loop()
        rig.gate.open.set()
        await asyncio.gather(first, second)
        assert (await watch).version == 2
        assert told(rig) == [("a", 3)]


@virtual
async def test_watchers_are_not_told_before_the_commit_and_not_of_what_failed():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        rig.gate.open.clear()
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.1)
        assert told(rig) == []
        rig.gate.inside.append(CommitUnknown("rolled back"))
        rig.gate.open.set()
        await asked
        assert told(rig) == [("a", 2)]
        with pytest.raises(Internal):
            await rig.client.ask("counter", "a", Explode("apply"), actor=OWNER)
        assert told(rig) == [("a", 2)]


@virtual
async def test_one_commit_is_one_message_to_a_gateway():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        rig.gate.open.clear()
        asks = [asyncio.create_task(rig.client.ask("counter", "b", Add(1), actor=OWNER))]
        await turns_of_the_loop()
        asks += [asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER)) for _ in range(5)]
        await asyncio.sleep(0.1)
        rig.gate.open.set()
        await asyncio.gather(*asks)
        assert [len(changes) for _, changes in rig.told.published] == [5]


@virtual
async def test_interest_ends_with_its_lease_or_when_it_is_given_up():
    async with Rig(watch_lease_seconds=5) as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        await asyncio.sleep(4)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        await asyncio.sleep(4)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert told(rig) == [("a", 2)]
        await asyncio.sleep(3)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert told(rig) == [("a", 2)]
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        await rig.client.unwatch("counter", "a", gateway="g")
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert told(rig) == [("a", 2)]
        assert rig.host.status().watched == 0


@virtual
async def test_who_may_not_read_may_not_watch():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        stranger = msgspec.structs.replace(OWNER, subject="stranger")
        with pytest.raises(NotFound):
            await rig.client.watch("counter", "a", gateway="g", actor=stranger)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert told(rig) == []


@virtual
async def test_a_group_is_told_of_who_is_in_it_who_comes_and_who_leaves():
    async with Rig(hosts=("host-1", "host-2")) as rig:
        await rig.client.watch_group("g/1", gateway="g")
        here, there = rig.key_on("host-1"), rig.key_on("host-2")
        for key in (here, there):
            await rig.client.ask("counter", key, Add(1), actor=OWNER)
            await rig.client.ask("counter", key, Join("g/1"), actor=OWNER)
            await rig.client.ask("counter", key, Add(1), actor=OWNER)
            await rig.client.ask("counter", key, Join("g/2"), actor=OWNER)
            await rig.client.ask("counter", key, Add(1), actor=OWNER)
        assert sorted(told(rig)) == sorted((key, version) for key in (here, there) for version in (2, 3, 4))
        await rig.client.unwatch_group("g/1", gateway="g")
        await rig.client.ask("counter", here, Join("g/1"), actor=OWNER)
        assert len(told(rig)) == 6


@virtual
async def test_who_comes_into_a_watched_group_is_told_whole():
    async with Rig() as rig:
        await rig.client.watch_group("g/1", gateway="g")
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        await rig.client.ask("counter", "a", Join("g/1"), actor=OWNER)
        change = rig.told.published[0][1][0]
        assert msgspec.msgpack.decode(change.patch) == {"total": 5, "adds": 1, "rang": 0, "version": 2}


@virtual
async def test_a_group_watch_at_a_host_that_has_left_ends_without_an_error():
    async with Rig(hosts=("host-1", "host-2")) as rig:
        owned = [shard for shard, owner in enumerate(rig.store.owners) if owner == "host-2"]
        await rig.hosts["host-2"].release(owned, "host-1")
        await rig.host.adopt([])
        del rig.transport.endpoints["host-2"]
        await rig.client.watch_group("g/1", gateway="g")
        assert asyncio.get_running_loop().time() < 2


@virtual
async def test_a_signal_is_told_and_shown_but_not_recorded():
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        await rig.client.watch("counter", "a", gateway="g", actor=OWNER)
        assert (await rig.client.ask("counter", "a", Point(7), actor=OWNER)).version == 1
        change = rig.told.published[0][1][0]
        assert (change.signal, change.version, msgspec.msgpack.decode(change.patch)) == ("point", 1, {"x": 7})
        view = msgspec.json.decode((await rig.client.read("counter", "a", actor=ANYONE)).view)
        assert view["signals"] == {"point": {"x": 7}}
        assert len(rig.rows("a")) == 1


@virtual
async def test_the_change_with_which_an_entity_leaves_a_group_says_so():
    async with Rig() as rig:
        await rig.client.watch_group("g/1", gateway="g")
        for command in (Add(1), Join("g/1"), Add(1), Join("g/2"), Add(1), Join("g/1")):
            await rig.client.ask("counter", "a", command, actor=OWNER)
        changes = [change for _, batch in rig.told.published for change in batch]
        left = [(change.version, change.left) for change in changes]
        assert left == [(2, ()), (3, ()), (4, ("g/1",)), (6, ("g/2",))]
        assert changes[2].groups == ("g/1", "g/2")


@virtual
async def test_who_watches_the_group_that_an_entity_comes_to_is_told_that_it_left_the_other():
    async with Rig() as rig:
        await rig.client.watch_group("g/2", gateway="g")
        for command in (Join("g/1"), Join("g/2")):
            await rig.client.ask("counter", "a", command, actor=OWNER)
        (change,) = [change for _, batch in rig.told.published for change in batch]
        assert (change.groups, change.left) == (("g/1", "g/2"), ("g/1",))
