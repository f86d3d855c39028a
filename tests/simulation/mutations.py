"""The runtime with one promise broken at a time, to prove that the simulation notices.

Each entry names what is broken, how (a subclass of the host, the database, the endpoint or the client), and the
promises of which at least one must be reported.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from actors.runtime.cell import Cell
from actors.runtime.client import EntityClient
from actors.runtime.endpoint import HostEndpoint
from actors.runtime.host import Host
from actors.runtime.shards import SHARDS
from actors.runtime.snapshots import take
from actors.runtime.turns import Sink
from actors.runtime.wire import Envelope, Reply
from actors.runtime.writer import Entry
from storage.journal.interface import Lease, Reminder, ShardMap
from tests.simulation.run import Mutation
from tests.simulation.store import SimStore

EVERYTHING = frozenset(
    {"kill", "hang", "zombie", "seize", "move", "commit_lost", "commit_unknown", "commit_slow", "passivation"}
)


class _RepliesBeforeCommit(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        add = self.writer.add

        def at_once(entry: Entry) -> None:
            if entry.row is not None:
                entry.release()
                entry = Entry(entry.cell, lambda: None, lambda _: None, entry.row, entry.done)
            add(entry)

        self.writer.add = at_once  # type: ignore[method-assign]


class _ReadsPassTheGate(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        def gate(cell: Cell | None, env: Envelope, sink: Sink, reply: Reply) -> None:
            sink(reply)

        self.turns.gate = gate  # type: ignore[method-assign]


class _TellsBeforeCommit(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        entry: Any = self.turns._entry

        def told_at_once(*parts: Any) -> Entry:
            *before, told, signals = parts
            if told is not None:
                for gateway in told.gateways:
                    self.announcer.publisher.publish(gateway, [told.change])
            return cast("Entry", entry(*before, None, signals))

        self.turns._entry = told_at_once  # type: ignore[method-assign,assignment]


class _NoFence(SimStore):
    def check(self, lease: Lease) -> None: ...


class _EpochDoesNotWait(SimStore):
    async def _settle(self, host: str) -> None: ...


class _ForgetsCommands(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.turns.known = lambda cell, env: None  # type: ignore[method-assign]


class _TakesAnyBody(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        def known(cell: Cell, env: Envelope) -> int | None:
            found = cell.recent.find(env.command_id)
            if found is not None:
                env.body_hash = found[1]
            return found[0] if found is not None else None

        self.turns.known = known  # type: ignore[method-assign]


class _RepeatsGetTheNewest(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        def newest(cell: Cell, env: Envelope, sink: Sink, version: int) -> None:
            view = msgspec.json.encode(cell.view()) if env.want == 1 else b""
            sink(Reply(env.corr, 0, cell.version, duplicate=True, view=view))

        self.repeats.answer = newest  # type: ignore[method-assign]


class _KeepsBrokenCells(Host):
    def evict_broken(self, cell: Cell) -> None:
        cell.broken = False


class _LoadsTooEarly(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        async def settled() -> None: ...

        self.loader._ready = settled


class _SkipsTheRenewal(Host):
    async def renew_lease(self) -> None: ...


class _KeepsLostShards(Host):
    def forget(self, shards: set[int]) -> None: ...


class _ServesForeignShards(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        take = self.shards.take

        def take_all(shard_map: ShardMap) -> None:
            take(shard_map)
            self.shards.owned = set(range(SHARDS))

        self.shards.take = take_all  # type: ignore[method-assign]


class _HandsOverUnflushed(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        async def flush() -> None: ...

        self.writer.flush = flush  # type: ignore[method-assign]


class _PassivatesTheBusy(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        async def passivate(keys: Iterable[str]) -> int:
            for key in list(keys):
                self._cells.pop(key, None)
            return 0

        self.residents.passivate = passivate  # type: ignore[method-assign]


class _SnapshotsTheUncommitted(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        keep, journal = self.snapshots.keep, self._journal

        def at_once(cell: Cell) -> None:
            self.spawn(journal.save_snapshots([take(cell)]))
            keep(cell)

        self.snapshots.keep = at_once  # type: ignore[method-assign]


class _SnapshotsTheBroken(Host):
    """As it was: a poisoned `apply` leaves a half-changed state at a durable version."""

    def _command(self, cell: Cell, key: str, env: Envelope, sink: Sink, looked_up: bool) -> None:
        super()._command(cell, key, env, sink, looked_up)
        if cell.broken and cell.state is not None:
            self.snapshots.keep(cell)


class _TimersAreDeletedFirst(Host):
    def _fire(self, reminder: Reminder) -> None:
        self._journal.store.reminders.pop((reminder.kind, reminder.id, reminder.name), None)  # type: ignore[attr-defined]
        super()._fire(reminder)


class _TimersLiveInMemory(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)

        async def scan() -> None: ...

        self.timers.scan = scan  # type: ignore[method-assign]


class _TimersAreLate(Host):
    def _fire(self, reminder: Reminder) -> None:
        asyncio.get_running_loop().call_later(1.5, super()._fire, reminder)


class _Unbounded(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.limits = msgspec.structs.replace(self.limits, host_commands_max=10_000, mailbox_commands_max=10_000)


class _PoisonStays(Host):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.writer.break_cell = lambda cell: None  # type: ignore[method-assign]


class _OneSession(HostEndpoint):
    """As it was: a lost call that still waits at the host takes the next replies with it."""

    def _outbox(self, message: Any) -> Any:
        message.session = 0
        message.number = getattr(self, "_calls", 0)
        self._calls = message.number + 1
        return super()._outbox(message)


class _GivesUpLostCalls(EntityClient):
    def lost(self, calls: Sequence[Any]) -> None: ...


class _AsksUnderANewId(EntityClient):
    def _again(self, call: Any, *, refresh: bool) -> None:
        call.env.command_id = bytes(reversed(call.env.command_id))
        super()._again(call, refresh=refresh)


def _host(host: type[Host], *faults: str) -> Mutation:
    return Mutation(host=host, faults=frozenset(faults) if faults else EVERYTHING)


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "replies leave before the commit": (_host(_RepliesBeforeCommit), "3"),
    "reads and refusals pass the gate at once": (_host(_ReadsPassTheGate), "3 1"),
    "watchers are told before the commit": (_host(_TellsBeforeCommit), "3"),
    "the database does not check the fence": (Mutation(store=_NoFence, faults=EVERYTHING), "2"),
    "a new epoch does not wait for the old commit": (Mutation(store=_EpochDoesNotWait, faults=EVERYTHING), "2"),
    "command ids are forgotten": (_host(_ForgetsCommands), "4"),
    "a repeat may have another body": (_host(_TakesAnyBody), "4"),
    "a repeat gets the newest state": (_host(_RepeatsGetTheNewest), "4"),
    "cells survive an unknown commit": (_host(_KeepsBrokenCells), "1 3"),
    "entities are loaded while a commit may land": (_host(_LoadsTooEarly), "1 3 4"),
    "the lease is not renewed after an unknown commit": (_host(_SkipsTheRenewal), "1 3 4"),
    "memory is kept when shards leave": (_host(_KeepsLostShards, "move", "bystander_moves"), "1"),
    "a host serves shards of others": (_host(_ServesForeignShards, "move"), "1"),
    "shards are handed over with commits under way": (_host(_HandsOverUnflushed, "move", "commit_slow"), "1"),
    "busy entities are passivated": (_host(_PassivatesTheBusy, "passivation", "commit_slow"), "1 3"),
    "uncommitted state is snapshotted": (_host(_SnapshotsTheUncommitted), "7"),
    "half-changed state is snapshotted": (_host(_SnapshotsTheBroken), "7 3"),
    "reminders go before their commit": (_host(_TimersAreDeletedFirst), "6"),
    "reminders live in memory only": (_host(_TimersLiveInMemory), "6"),
    "reminders ring late": (_host(_TimersAreLate, "passivation"), "6"),
    "queues have no bound": (_host(_Unbounded), "9"),
    "a poisoned apply leaves its traces": (_host(_PoisonStays), "3 5"),
    "lost calls take replies with them": (
        Mutation(endpoint=_OneSession, faults=frozenset({"hang", "duplicate"})),
        "3 9 11",
    ),
    "lost calls are not asked again": (Mutation(client=_GivesUpLostCalls, faults=frozenset({"kill"})), "3 11"),
    "a retry has a new command id": (Mutation(client=_AsksUnderANewId, faults=EVERYTHING), "4"),
}
