"""The journal's contract in memory: for simulation and for tests that need no database.

One `MemoryStore` is the database; every host opens its own `MemoryJournal` on it, with its own `Faults`.
A commit runs as the store's own task, as a transaction runs in its own backend: a caller that gives up,
is cancelled or dies does not stop it, so ambiguous outcomes are real here. It is deterministic: the only
time is the running loop's, the only order the loop's.
"""

import asyncio
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from storage.journal.interface import (
    CommitRefused,
    CommitUnknown,
    Cursor,
    Fenced,
    HostRecord,
    Lease,
    Loaded,
    NewRow,
    Reminder,
    Row,
    ShardMap,
    Snapshot,
    TimerDone,
)
from storage.journal.shards import SHARDS, spread

TERMINATE_AFTER_S = 2.0
"""How long a new epoch waits for a transaction of the old one before it ends it (rolled back)."""

_Key = tuple[str, str]


def _tail_order(row: Row) -> tuple[int, int]:
    return (row.xid, row.position)


def _by_version(row: Row) -> int:
    return row.version


class Faults:
    """What goes wrong between one host and the store. Subclass and override; the default is a good day.

    Every coroutine may sleep on the running loop (a slow network, a slow disk).
    """

    async def before_commit(self, rows: Sequence[NewRow]) -> None:
        """On the way to the store. Raise `CommitUnknown` or `OSError`: the batch never arrived."""

    async def in_transaction(self, rows: Sequence[NewRow]) -> None:
        """In the store: fence checked, row lock held, transaction id taken, nothing visible yet.

        Sleep for a slow commit (the tail waits for it); raise any `JournalError` or `OSError` to roll back.
        """

    def reply_timeout(self, rows: Sequence[NewRow]) -> float | None:  # noqa: ARG002
        """Seconds until the host gives up (`CommitUnknown`) on a transaction that goes on; None: never."""
        return None

    async def after_commit(self, rows: Sequence[NewRow]) -> None:
        """On the way back. Raise `CommitUnknown`: the batch is stored and the host does not know."""

    async def before_read(self, operation: str) -> None:
        """Before any other call (`load`, `take_epoch`, …). Raise `OSError`: the store is away."""


class _Transaction:
    """A commit in flight: its id (what the tail waits for) and the store's task that runs it."""

    __slots__ = ("task", "xid")

    def __init__(self, xid: int) -> None:
        self.xid = xid
        self.task: asyncio.Task[Any] | None = asyncio.current_task()


class MemoryStore:
    """The shared state of all hosts. The attributes are public for checkers; only this module writes them."""

    def __init__(
        self,
        shards: int = SHARDS,
        terminate_after_s: float = TERMINATE_AFTER_S,
        index_columns: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """`index_columns`: the index tables there are (None: whatever is written), for toy kinds in tests."""
        self.rows: list[Row] = []
        """Every committed row in the order of its commit."""
        self.by_entity: dict[_Key, list[Row]] = defaultdict(list)
        self.by_command: dict[tuple[bytes, str, str], Row] = {}
        self.snapshots: dict[_Key, Snapshot] = {}
        self.reminders: dict[tuple[str, str, str], Reminder] = {}
        self.index: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        """table → id → columns, with `id` and `version` among them."""
        self.epochs: dict[str, int] = {}
        self.wanted: dict[str, bool] = {}
        self.owners: list[str] = [""] * shards
        self.map_version = 1
        self._terminate_after_s = terminate_after_s
        self._index_columns = index_columns
        self._next_xid = 1
        self._epochs_given = 0
        self._gates: dict[str, asyncio.Lock] = {}
        self._in_flight: dict[str, list[_Transaction]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._versions: set[tuple[str, str, int]] = set()
        self._tail: list[Row] = []

    def start(self, transaction: Awaitable[None]) -> "asyncio.Task[None]":
        """Run a transaction as the store's own task; its outcome may go unheard."""
        task = asyncio.ensure_future(transaction)
        assert isinstance(task, asyncio.Task)  # noqa: S101 - narrows for the type checker
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def _gate(self, host: str) -> asyncio.Lock:
        return self._gates.setdefault(host, asyncio.Lock())

    def check(self, lease: Lease) -> None:
        if self.epochs.get(lease.host) != lease.epoch:
            raise Fenced(f"{lease.host} epoch {lease.epoch} is not current")

    async def transact(
        self,
        lease: Lease,
        rows: Sequence[NewRow],
        done: Sequence[TimerDone],
        inside: Callable[[Sequence[NewRow]], Awaitable[None]],
    ) -> None:
        """One fenced transaction: all or nothing, with the shared lock on the host's row held throughout."""
        async with self._gate(lease.host):
            self.check(lease)
            transaction = _Transaction(self._next_xid)
            self._next_xid += 1
            self._in_flight[lease.host].append(transaction)
        try:
            await inside(rows)
            self._refuse_duplicates(rows)
            self._refuse_unknown_index(rows)
            self._write(transaction.xid, rows, done)
        finally:
            self._in_flight[lease.host].remove(transaction)

    def _refuse_duplicates(self, rows: Iterable[NewRow]) -> None:
        versions: set[tuple[str, str, int]] = set()
        commands: set[tuple[bytes, str, str]] = set()
        for row in rows:
            if len(row.command_id) != 16:
                raise CommitRefused("a command id has 16 bytes")
            version = (row.kind, row.id, row.version)
            command = (row.command_id, row.kind, row.id)
            if version in self._versions or version in versions:
                raise CommitRefused(f"{row.kind}/{row.id} version {row.version} exists")
            if command in self.by_command or command in commands:
                raise CommitRefused(f"{row.kind}/{row.id} has that command")
            versions.add(version)
            commands.add(command)

    def _refuse_unknown_index(self, rows: Iterable[NewRow]) -> None:
        for row in rows:
            if row.index is not None and self._index_columns is not None:
                known = self._index_columns.get(row.index.table)
                if known is None or not set(row.index.columns) <= set(known):
                    raise CommitRefused(f"{row.index.table} is no index table, or has other columns")

    def _write(self, xid: int, rows: Iterable[NewRow], done: Iterable[TimerDone]) -> None:
        for timer in done:
            key = (timer.kind, timer.id, timer.name)
            kept = self.reminders.get(key)
            if kept is not None and kept.due_ms == timer.due_ms:
                del self.reminders[key]
        for new in rows:
            row = Row(
                position=len(self.rows) + 1,
                xid=xid,
                kind=new.kind,
                id=new.id,
                version=new.version,
                command_id=new.command_id,
                command_hash=new.command_hash,
                actor=new.actor,
                device=new.device,
                correlation=new.correlation,
                time_ms=new.time_ms,
                payload=new.payload,
            )
            self.rows.append(row)
            insort(self._tail, row, key=_tail_order)
            self._versions.add((new.kind, new.id, new.version))
            insort(self.by_entity[(new.kind, new.id)], row, key=_by_version)
            self.by_command[(new.command_id, new.kind, new.id)] = row
            self._write_extras(new)

    def _write_extras(self, new: NewRow) -> None:
        if new.index is not None:
            table = self.index[new.index.table]
            old = table.get(new.id)
            if old is None or old["version"] < new.version:
                table[new.id] = {**new.index.columns, "id": new.id, "version": new.version}
        for write in new.reminders:
            key = (new.kind, new.id, write.name)
            if write.due_ms is None:
                self.reminders.pop(key, None)
            else:
                self.reminders[key] = Reminder(new.shard, new.kind, new.id, write.name, write.due_ms)

    async def advance_epoch(self, host: str, allowed: Callable[[], None]) -> int:
        """Raise `host`'s epoch once no transaction of an older one is left; newcomers wait at the gate.

        `allowed` is asked under the lock and may raise.
        """
        async with self._gate(host):
            await self._settle(host)
            allowed()
            return self.raise_epoch(host)

    def raise_epoch(self, host: str) -> int:
        """Epochs are never used twice, also not by a host that was forgotten and came again."""
        self._epochs_given += 1
        self.epochs[host] = self._epochs_given
        return self._epochs_given

    async def settled(self, host: str, change: Callable[[], None]) -> None:
        """Run `change` under `host`'s row lock, with no transaction of it in flight."""
        async with self._gate(host):
            await self._settle(host)
            change()

    async def _settle(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._terminate_after_s
        while open_tasks := [one.task for one in self._in_flight[host] if one.task is not None]:
            _, late = await asyncio.wait(open_tasks, timeout=max(0.0, deadline - loop.time()))
            for task in late:
                task.cancel()

    def oldest_open_xid(self) -> int:
        running = [one.xid for per_host in self._in_flight.values() for one in per_host]
        return min(running, default=self._next_xid)

    def tail(self, cursor: Cursor, limit: int) -> list[Row]:
        start = bisect_right(self._tail, (cursor.xid, cursor.position), key=_tail_order)
        horizon = self.oldest_open_xid()
        return [row for row in self._tail[start : start + limit] if row.xid < horizon]

    def shard_map(self) -> ShardMap:
        return ShardMap(self.map_version, tuple(self.owners))

    def move(self, shards: Iterable[int], owner: str, to: str) -> None:
        """Give `to` those of `shards` that `owner` holds; the version rises if any moved."""
        moved = [shard for shard in shards if self.owners[shard] == owner]
        if moved:
            self.epochs.setdefault(to, 0)
            for shard in moved:
                self.owners[shard] = to
            self.map_version += 1


class MemoryJournal:
    """Journal, Placement and Tail of one host on a shared `MemoryStore`."""

    def __init__(self, store: MemoryStore, faults: Faults | None = None) -> None:
        self.store = store
        self.faults = faults or Faults()

    async def commit(self, lease: Lease, rows: Sequence[NewRow], done: Sequence[TimerDone]) -> None:
        rows = tuple(rows)
        await self.faults.before_commit(rows)
        transaction = self.store.start(
            self.store.transact(lease, rows, tuple(done), self.faults.in_transaction),
        )
        answered, _ = await asyncio.wait([transaction], timeout=self.faults.reply_timeout(rows))
        if not answered:
            raise CommitUnknown("no answer from the store")
        if transaction.cancelled():
            raise CommitUnknown("the transaction was terminated")
        transaction.result()
        await self.faults.after_commit(rows)

    async def load(self, keys: Sequence[tuple[str, str]]) -> list[Loaded]:
        await self.faults.before_read("load")
        loaded = []
        for key in keys:
            snapshot = self.store.snapshots.get(key)
            after = snapshot.version if snapshot else 0
            rows = tuple(row for row in self.store.by_entity.get(key, ()) if row.version > after)
            loaded.append(Loaded(*key, snapshot, rows))
        return loaded

    async def rows(self, kind: str, id: str, after: int = 0, upto: int | None = None) -> list[Row]:
        await self.faults.before_read("rows")
        found = self.store.by_entity.get((kind, id), ())
        return [row for row in found if row.version > after and (upto is None or row.version <= upto)]

    async def find_commands(self, kind: str, id: str, command_ids: Sequence[bytes]) -> dict[bytes, int]:
        await self.faults.before_read("find_commands")
        rows = (self.store.by_command.get((command_id, kind, id)) for command_id in command_ids)
        return {row.command_id: row.version for row in rows if row is not None}

    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        await self.faults.before_read("save_snapshots")
        for new in snapshots:
            old = self.store.snapshots.get((new.kind, new.id))
            if old is None or (old.version, old.schema) < (new.version, new.schema):
                self.store.snapshots[(new.kind, new.id)] = new

    async def due_reminders(self, shards: Sequence[int], before_ms: int, limit: int) -> list[Reminder]:
        await self.faults.before_read("due_reminders")
        wanted = set(shards)
        due = [one for one in self.store.reminders.values() if one.shard in wanted and one.due_ms < before_ms]
        return sorted(due, key=lambda one: (one.due_ms, one.kind, one.id, one.name))[:limit]

    async def take_epoch(self, host: str, held: int | None = None) -> Lease:
        await self.faults.before_read("take_epoch")

        def allowed() -> None:
            if held is not None:
                self.store.check(Lease(host, held))

        return Lease(host, await self.store.advance_epoch(host, allowed))

    async def shard_map(self) -> ShardMap:
        await self.faults.before_read("shard_map")
        return self.store.shard_map()

    async def hosts(self) -> list[HostRecord]:
        await self.faults.before_read("hosts")
        epochs, wanted = self.store.epochs, self.store.wanted
        return [HostRecord(name, epochs[name], wanted.get(name, True)) for name in sorted(epochs)]

    async def want(self, host: str, wanted: bool) -> None:
        self.store.epochs.setdefault(host, 0)
        self.store.wanted[host] = wanted

    async def forget(self, host: str) -> None:
        if not self.store.wanted.get(host, True) and host not in self.store.owners:
            self.store.epochs.pop(host, None)
            self.store.wanted.pop(host, None)

    async def assign_free(self, hosts: Sequence[str]) -> ShardMap:
        await self.faults.before_read("assign_free")
        free = [shard for shard, owner in enumerate(self.store.owners) if not owner]
        for host, shards in spread(free, self.store.owners, hosts).items():
            self.store.move(shards, "", host)
        return self.store.shard_map()

    async def hand_over(self, lease: Lease, shards: Sequence[int], to: str) -> ShardMap:
        await self.faults.before_read("hand_over")

        def change() -> None:
            self.store.check(lease)
            self.store.move(shards, lease.host, to)

        await self.store.settled(lease.host, change)
        return self.store.shard_map()

    async def seize(self, shards: Sequence[int], owner: str, to: str) -> ShardMap:
        await self.faults.before_read("seize")

        def change() -> None:
            if any(self.store.owners[shard] == owner for shard in shards):
                self.store.raise_epoch(owner)
                self.store.move(shards, owner, to)

        await self.store.settled(owner, change)
        return self.store.shard_map()

    async def read_after(self, cursor: Cursor, limit: int) -> list[Row]:
        await self.faults.before_read("read_after")
        return self.store.tail(cursor, limit)
