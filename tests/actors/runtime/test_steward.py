"""The steward against the memory placement and hosts that answer, hang or leave."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from actors.runtime.limits import DEFAULTS
from actors.runtime.steward import Steward
from storage.journal.interface import Lease
from storage.journal.memory import MemoryJournal, MemoryStore

LIMITS = msgspec.structs.replace(DEFAULTS, steward_round_ms=10, host_down_ms=40, host_start_ms=10_000)


class FakeHosts:
    """Hosts that exist as names: `silent` ones never answer, `busy` ones after seconds."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.silent: set[str] = set()
        self.busy: dict[str, float] = {}
        self.ensured: list[str] = []
        self.retired: list[str] = []
        self.preloaded: dict[str, list[str]] = {}

    async def ensure(self, host: str) -> None:
        self.ensured.append(host)

    async def ping(self, host: str) -> None:
        if host in self.silent:
            await asyncio.Event().wait()
        await asyncio.sleep(self.busy.get(host, 0))

    async def release(self, host: str, shards: Sequence[int], to: str) -> list[str]:
        lease = Lease(host, self.journal.store.epochs[host])
        await self.journal.hand_over(lease, shards, to)
        return [f"counter/{shard}" for shard in shards]

    async def adopt(self, host: str, keys: Sequence[str]) -> None:
        self.preloaded.setdefault(host, []).extend(keys)

    async def retire(self, host: str) -> None:
        self.retired.append(host)


async def installation(*hosts: str) -> tuple[MemoryJournal, FakeHosts, Steward]:
    journal = MemoryJournal(MemoryStore())
    for host in hosts:
        await journal.want(host, True)
    fakes = FakeHosts(journal)
    return journal, fakes, Steward(journal, fakes, LIMITS)


async def settle(steward: Steward) -> None:
    while await steward.tend():
        pass


def counts(journal: MemoryJournal) -> dict[str, int]:
    owners = journal.store.owners
    return {name: owners.count(name) for name in sorted(set(owners))}


async def test_at_the_first_start_all_shards_are_spread_over_the_hosts() -> None:
    journal, fakes, steward = await installation("host-1", "host-2")
    await settle(steward)
    assert counts(journal) == {"host-1": 128, "host-2": 128}
    assert fakes.ensured == ["host-1", "host-2"]


async def test_a_host_that_falls_silent_is_fenced_and_its_shards_are_seized() -> None:
    journal, fakes, steward = await installation("host-1", "host-2", "host-3")
    await settle(steward)
    epoch = (await journal.take_epoch("host-2")).epoch
    fakes.silent.add("host-2")
    async with asyncio.timeout(5):
        while "host-2" in journal.store.owners:
            await steward.tend()
    assert journal.store.epochs["host-2"] > epoch
    assert counts(journal) == {"host-1": 128, "host-3": 128}


async def test_a_host_that_comes_back_gets_its_share_again_warm() -> None:
    journal, fakes, steward = await installation("host-1", "host-2")
    await settle(steward)
    fakes.silent.add("host-2")
    async with asyncio.timeout(5):
        while "host-2" in journal.store.owners:
            await steward.tend()
        fakes.silent.clear()
        while counts(journal).get("host-2") != 128:
            await steward.tend()
    assert len(fakes.preloaded["host-2"]) == 128


async def test_a_host_that_is_to_leave_hands_everything_over_and_is_retired() -> None:
    journal, fakes, steward = await installation("host-1", "host-2")
    await settle(steward)
    await journal.want("host-1", False)
    await settle(steward)
    assert counts(journal) == {"host-2": 256}
    assert fakes.retired == ["host-1"]
    assert [record.name for record in await journal.hosts()] == ["host-2"]


async def test_when_nobody_answers_nothing_is_moved() -> None:
    journal, fakes, steward = await installation("host-1", "host-2")
    await settle(steward)
    fakes.silent |= {"host-1", "host-2"}
    for _ in range(12):
        await steward.tend()
    assert counts(journal) == {"host-1": 128, "host-2": 128}


class HangingHosts(FakeHosts):
    """Calls named in `hanging` never come back, as those of a stopped process."""

    def __init__(self, journal: MemoryJournal) -> None:
        super().__init__(journal)
        self.hanging: set[tuple[str, str]] = set()

    async def release(self, host: str, shards: Sequence[int], to: str) -> list[str]:
        await self._maybe_hang("release", host)
        return await super().release(host, shards, to)

    async def adopt(self, host: str, keys: Sequence[str]) -> None:
        await self._maybe_hang("adopt", host)
        await super().adopt(host, keys)

    async def retire(self, host: str) -> None:
        await self._maybe_hang("retire", host)
        await super().retire(host)

    async def _maybe_hang(self, call: str, host: str) -> None:
        if (call, host) in self.hanging:
            self.silent.add(host)
            await asyncio.Event().wait()


async def hanging_installation(*hosts: str) -> tuple[MemoryJournal, HangingHosts, Steward]:
    journal = MemoryJournal(MemoryStore())
    for host in hosts:
        await journal.want(host, True)
    fakes = HangingHosts(journal)
    return journal, fakes, Steward(journal, fakes, LIMITS)


async def tend_until(steward: Steward, reached: Callable[[], bool]) -> None:
    tending = asyncio.create_task(steward.tend_forever())
    try:
        async with asyncio.timeout(5):
            while not reached():  # noqa: ASYNC110 - the fakes tell of nothing by themselves
                await asyncio.sleep(0)
    finally:
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)


async def test_a_host_that_hangs_while_it_hands_over_is_seized_like_any_other() -> None:
    journal, fakes, steward = await hanging_installation("host-1", "host-2")
    await settle(steward)
    fakes.hanging.add(("release", "host-1"))
    await journal.want("host-1", False)
    await tend_until(steward, lambda: "host-1" not in journal.store.owners)
    assert counts(journal) == {"host-2": 256}


async def test_a_host_that_hangs_while_it_takes_over_loses_what_it_got() -> None:
    journal, fakes, steward = await hanging_installation("host-1", "host-2", "host-3")
    await settle(steward)
    fakes.hanging.add(("adopt", "host-2"))
    await journal.want("host-1", False)
    await tend_until(steward, lambda: counts(journal) == {"host-3": 256})


async def test_a_host_that_hangs_when_it_is_retired_does_not_keep_the_others_from_being_tended() -> None:
    journal, fakes, steward = await hanging_installation("host-1", "host-2", "host-3")
    await settle(steward)
    fakes.hanging.add(("retire", "host-1"))
    await journal.want("host-1", False)
    await tend_until(steward, lambda: "host-1" in fakes.silent)
    fakes.silent.add("host-2")
    await tend_until(steward, lambda: counts(journal) == {"host-3": 256})


async def test_a_host_is_not_taken_for_dead_because_the_steward_itself_could_not_look() -> None:
    journal, fakes, steward = await installation("host-1", "host-2")
    await settle(steward)
    epoch = journal.store.epochs["host-2"]
    fakes.busy["host-2"] = 0.02
    await asyncio.sleep(0.06)
    for _ in range(4):
        await steward.tend()
    assert journal.store.epochs["host-2"] == epoch
    assert counts(journal) == {"host-1": 128, "host-2": 128}
