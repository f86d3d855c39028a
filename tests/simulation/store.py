"""The database of a simulation: the in-memory journal, watched at every write, with faults on the way to it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from actors.runtime.shards import shard_of
from storage.journal.interface import (
    CommitRefused,
    CommitUnknown,
    Lease,
    NewRow,
    ShardMap,
    Snapshot,
    TimerDone,
)
from storage.journal.memory import Faults, MemoryJournal, MemoryStore
from tests.simulation.loop import VirtualLoop, outside
from tests.simulation.profile import Profile
from tests.simulation.record import CommitFact, Record


class SimStore(MemoryStore):
    """Checks by itself, at the moment of each write, what the runtime must never even try."""

    def __init__(self, loop: VirtualLoop, record: Record) -> None:
        super().__init__(terminate_after_s=0.5)
        self._loop = loop
        self.record = record
        self._writing = Lease("", 0)
        self.reminder_due: dict[tuple[str, str, int], int] = {}

    def start(self, transaction: Awaitable[None]) -> Any:
        """A transaction belongs to the database: it goes on when the host that began it hangs or dies."""
        assert asyncio.iscoroutine(transaction)
        task: asyncio.Task[None] = self._loop.spawn(None, transaction)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def transact(
        self,
        lease: Lease,
        rows: Sequence[NewRow],
        done: Sequence[TimerDone],
        inside: Callable[[Sequence[NewRow]], Awaitable[None]],
    ) -> None:
        async def watched(those: Sequence[NewRow]) -> None:
            await inside(those)
            self._writing = lease

        await super().transact(lease, rows, done, watched)

    def _refuse_duplicates(self, rows: Iterable[NewRow]) -> None:
        """Both constraints are the last line of defence: a healthy runtime never runs into them."""
        rows = list(rows)
        try:
            super()._refuse_duplicates(rows)
        except CommitRefused as error:
            self.record.violate("1 one writer" if "version" in str(error) else "4 exactly once", str(error))
            raise

    def _write(self, xid: int, rows: Iterable[NewRow], done: Iterable[TimerDone]) -> None:
        rows = list(rows)
        lease, record = self._writing, self.record
        newest = {row.id: len(self.by_entity[(row.kind, row.id)]) for row in rows}
        for row in rows:
            what = f"{row.id} v{row.version} by {lease.host}@{lease.epoch}"
            if self.epochs.get(lease.host) != lease.epoch:
                record.violate("2 fenced", f"{what}: its epoch is superseded by {self.epochs.get(lease.host)}")
            if row.shard != shard_of(row.kind, row.id) or self.owners[row.shard] != lease.host:
                record.violate("1 one writer", f"{what}: the shard belongs to {self.owners[row.shard]}")
            if row.version != newest[row.id] + 1:
                record.violate("1 one writer", f"{what}: follows v{newest[row.id]}")
            newest[row.id] = row.version
            record.commits[row.id, row.version] = CommitFact(record.next(), self._loop.time(), lease.host, lease.epoch)
            record.note(f"commit {what} {row.correlation}")
        super()._write(xid, rows, done)


class Weather:
    """How the way to the database is now; shared by all hosts."""

    def __init__(self, rng: random.Random, profile: Profile, record: Record) -> None:
        self.rng = rng
        self.record = record
        self.faults = profile.faults
        self.away_until = 0.0
        self.cursed: str = ""
        self.ever_cursed: set[str] = set()

    def hits(self, fault: str, probability: float) -> bool:
        if fault in self.faults and self.rng.random() < probability:
            self.record.fault(fault)
            return True
        return False

    def away(self) -> bool:
        return self.record.loop.time() < self.away_until


class SimFaults(Faults):
    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._rng = weather.rng
        self._slow = False

    async def _travel(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.0001, 0.001))
        if self._weather.away():
            raise OSError("the database is away")

    async def before_commit(self, rows: Sequence[NewRow]) -> None:
        await self._travel()
        if self._weather.hits("commit_lost", 0.03):
            raise self._rng.choice((CommitUnknown("lost on the way"), OSError("connection refused")))
        self._slow = "commit_slow" in self._weather.faults and self._rng.random() < 0.05

    async def in_transaction(self, rows: Sequence[NewRow]) -> None:
        await asyncio.sleep(self._rng.uniform(0.0003, 0.003))
        if self._slow:
            duration = self._rng.choice((0.05, 0.3, 1.5))
            self._weather.record.fault("commit_slow", duration)
            await asyncio.sleep(duration)
        if self._weather.hits("commit_lost", 0.02):
            raise OSError("rolled back: the server restarts")
        if self._weather.cursed and any(row.id == self._weather.cursed for row in rows):
            self._weather.record.fault("commit_refused")
            raise CommitRefused("a constraint of some index table")

    def reply_timeout(self, rows: Sequence[NewRow]) -> float | None:
        return self._rng.choice((0.02, 0.1, None)) if self._slow else None

    async def after_commit(self, rows: Sequence[NewRow]) -> None:
        await asyncio.sleep(self._rng.uniform(0.0001, 0.001))
        if self._weather.hits("commit_unknown", 0.04):
            raise CommitUnknown("the answer was lost")

    async def before_read(self, operation: str) -> None:
        await self._travel()
        if self._weather.hits("read_error", 0.03):
            raise OSError(f"{operation} failed")
        if "commit_slow" in self._weather.faults and self._rng.random() < 0.03:
            self._weather.record.fault("slow_read", 0.4)
            await asyncio.sleep(self._rng.uniform(0.05, 0.4))


class SimJournal(MemoryJournal):
    """One host's connection. What runs in the database goes on without the host."""

    store: SimStore

    def __init__(self, store: SimStore, weather: Weather) -> None:
        super().__init__(store, SimFaults(weather))
        self._weather = weather
        self._loop = weather.record.loop

    async def _lose_answer(self) -> None:
        if self._weather.hits("read_error", 0.05):
            raise OSError("the answer was lost")

    async def take_epoch(self, host: str, held: int | None = None) -> Lease:
        await self.faults.before_read("take_epoch")
        lease = await outside(self._loop, MemoryJournal(self.store).take_epoch(host, held))
        self.store.record.note(f"epoch {lease.epoch} for {host}")
        await self._lose_answer()
        return lease

    async def hand_over(self, lease: Lease, shards: Sequence[int], to: str) -> ShardMap:
        await self.faults.before_read("hand_over")
        shard_map = await outside(self._loop, MemoryJournal(self.store).hand_over(lease, shards, to))
        self.store.record.note(f"handed over {len(shards)} shards {lease.host} → {to}")
        await self._lose_answer()
        return shard_map

    async def seize(self, shards: Sequence[int], owner: str, to: str) -> ShardMap:
        await self.faults.before_read("seize")
        shard_map = await outside(self._loop, MemoryJournal(self.store).seize(shards, owner, to))
        self.store.record.note(f"seized {len(shards)} shards {owner} → {to}")
        return shard_map

    async def load(self, keys: Sequence[tuple[str, str]]) -> Any:
        """The query sees one moment; its answer travels."""
        loaded = await super().load(keys)
        await self._answer_travels()
        return loaded

    async def rows(self, kind: str, id: str, after: int = 0, upto: int | None = None) -> Any:
        rows = await super().rows(kind, id, after, upto)
        await self._answer_travels()
        return rows

    async def find_commands(self, kind: str, id: str, command_ids: Sequence[bytes]) -> Any:
        versions = await super().find_commands(kind, id, command_ids)
        await self._answer_travels()
        return versions

    async def due_reminders(self, shards: Sequence[int], before_ms: int, limit: int) -> Any:
        due = await super().due_reminders(shards, before_ms, limit)
        await self._answer_travels()
        return due

    async def shard_map(self) -> ShardMap:
        shard_map = await super().shard_map()
        await self._answer_travels()
        return shard_map

    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        for one in snapshots:
            if one.version > len(self.store.by_entity.get((one.kind, one.id), ())):
                self.store.record.violate("7 snapshots", f"a snapshot of {one.id} v{one.version}, not committed")
        await super().save_snapshots(snapshots)
        self.store.record.count("snapshots")

    async def _answer_travels(self) -> None:
        rng = self._weather.rng
        slow = "slow_network" in self._weather.faults and rng.random() < 0.05
        if slow:
            self.store.record.fault("slow_answer", 0.5)
        await asyncio.sleep(rng.uniform(0.1, 0.5) if slow else rng.uniform(0.0001, 0.002))
