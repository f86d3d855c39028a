"""An entity host: owns shards, keeps their live entities in memory, runs their turns.

Plain asyncio, no Ray: `host_actor.py` wraps it in an actor, `local.py` and the simulation run it as it is.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from actors.runtime.announcer import Announcer, Publisher
from actors.runtime.cell import Cell
from actors.runtime.clock import Clock
from actors.runtime.codec import KindCodec
from actors.runtime.entity import EntityKind
from actors.runtime.leases import renewed
from actors.runtime.limits import Limits
from actors.runtime.loader import Loader
from actors.runtime.mailboxes import Mailbox, Mailboxes, send_away
from actors.runtime.ownership import Ownership
from actors.runtime.repeats import Repeats
from actors.runtime.residents import Residents
from actors.runtime.shards import shard_of
from actors.runtime.snapshots import Snapshots
from actors.runtime.status import HostStatus, status_of
from actors.runtime.tallies import KindTally
from actors.runtime.timers import Timers
from actors.runtime.traces import traced_turns
from actors.runtime.turns import Sink, Turns
from actors.runtime.watches import WatchTable
from actors.runtime.wire import (
    COMMAND,
    FAILED,
    NOT_OWNER,
    OK,
    READ,
    RETRY,
    UNWATCH,
    UNWATCH_GROUP,
    WATCH,
    WATCH_GROUP,
    Envelope,
    Reply,
)
from actors.runtime.writer import Entry, JournalWriter
from domain.errors import DeadlineExceeded, Failure, TooMany, Unavailable
from storage.crypto import KeyRing
from storage.journal.interface import Journal, Lease, NewRow, Placement, Reminder

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

log = structlog.get_logger()

_FULL_MAILBOX = TooMany("this entity has too many commands waiting", code="mailbox_full", retry_after_ms=200).failure
_FULL_HOST = Unavailable("this host has too many commands waiting", code="host_full", retry_after_ms=500).failure
_LATE = DeadlineExceeded("the command came to its turn after its deadline").failure
_NONE: Mapping[bytes, int] = {}
_UNKNOWN_KIND = Failure("not_found", 404, "there is no such kind of entity")


class Host:
    """One incarnation of one host. `on_fenced` is told once when another incarnation has taken over.

    `keys` seal what sensitive kinds store; with such a kind and without them: `ValueError`.
    """

    def __init__(
        self,
        name: str,
        *,
        journal: Journal,
        placement: Placement,
        kinds: Mapping[str, EntityKind[Any]],
        clock: Clock,
        limits: Limits,
        publisher: Publisher,
        on_fenced: Callable[[], None],
        keys: KeyRing | None = None,
        tracer: "Tracer | None" = None,
    ) -> None:
        self.name = name
        self.lease = Lease(name, 0)
        self.limits = limits
        self._placement = placement
        self._clock = clock
        self._on_fenced = on_fenced
        self._codecs = {kind: KindCodec(entity, keys) for kind, entity in kinds.items()}
        self._mailboxes = Mailboxes()
        self.running = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._tending: asyncio.Task[Any] | None = None
        self.shards = Ownership(name, placement, self)
        self.watches = WatchTable(limits.watch_lease_seconds)
        self.announcer = Announcer(publisher)
        self.writer = JournalWriter(journal, self, limits, tracer)
        self.snapshots = Snapshots(journal, limits)
        self.residents = Residents(self.snapshots, limits, self._mailboxes.__contains__)
        self._cells = self.residents.cells
        self.turns = Turns(self.writer, self.watches, clock, limits, self.announcer.tell, self._reminded)
        self._execute = self.turns.command if tracer is None else traced_turns(tracer, self.turns.command)
        self.repeats = Repeats(journal, limits, self.writer.add, self.spawn)
        self.loader = Loader(journal, limits, self.writer.settled)
        self._journal = journal
        self.timers = Timers(journal, clock, limits, lambda: self.shards.owned, self._fire)

    # -- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Fence every earlier incarnation, learn which shards are ours, begin."""
        self.lease = await self._placement.take_epoch(self.name)
        await self.shards.refresh()
        self.running = True
        self.timers.start()
        self._tending = self.spawn(self._tend_forever())
        log.info("host_started", host=self.name, epoch=self.lease.epoch, shards=len(self.shards.owned))

    async def stop(self) -> None:
        """Commit what is queued, snapshot what is live, answer the rest `retry`."""
        self.running = False
        self.shards.stop()
        self.timers.stop()
        self._bounce_all()
        await self.writer.flush()
        if self._tending is not None:
            self._tending.cancel()
        while self._tasks:  # looks into the journal, each with callers who wait for it
            await asyncio.wait(list(self._tasks))
        try:
            await self.snapshots.write(self._cells.values())
        except Exception as error:
            log.warning("snapshots_not_written", host=self.name, error=repr(error))
        self.writer.close()

    def fenced(self) -> None:
        """Another incarnation took over: forget everything at once (invariant 2)."""
        if not self.running:
            return
        log.warning("host_fenced", host=self.name, epoch=self.lease.epoch)
        self.running = False
        self.shards.stop()
        self.timers.stop()
        self.writer.close()
        self._cells.clear()
        self._bounce_all()
        for task in list(self._tasks):
            task.cancel()
        self._on_fenced()

    async def renew_lease(self) -> None:
        self.lease = await renewed(self._placement, self.lease)

    # -- requests ---------------------------------------------------------------------------------------------

    def submit(self, env: Envelope, sink: Sink) -> None:
        """Take one request; `sink` is called exactly once with its reply, now or later."""
        if not self.running:
            sink(Reply(env.corr, RETRY))
        elif env.mode in (WATCH_GROUP, UNWATCH_GROUP):
            self._watch_group(env, sink)
        elif env.kind not in self._codecs:
            sink(Reply(env.corr, FAILED, failure=_UNKNOWN_KIND))
        elif env.mode == UNWATCH:
            self.watches.unwatch(f"{env.kind}/{env.id}", env.device)
            sink(Reply(env.corr, OK))
        elif (shard := shard_of(env.kind, env.id)) not in self.shards.owned:
            self.shards.in_doubt()
            sink(Reply(env.corr, NOT_OWNER, self.shards.map.version))
        elif self._mailboxes.queued + len(self.writer) >= self.limits.host_commands_max:
            sink(Reply(env.corr, FAILED, failure=_FULL_HOST))
        else:
            self._route(env, sink, shard)

    def _route(self, env: Envelope, sink: Sink, shard: int) -> None:
        key = f"{env.kind}/{env.id}"
        mailbox = self._mailboxes.get(key)
        if mailbox is not None:
            self._wait(mailbox, env, sink)
            return
        cell = self._cells.get(key)
        if cell is not None:
            self._turn(cell, key, env, sink)
            return
        mailbox = self._mailboxes.open(key, Cell(self._codecs[env.kind], env.id, shard))
        self._wait(mailbox, env, sink)
        self.loader.load(mailbox.cell, partial(self._loaded, key, mailbox))

    def _wait(self, mailbox: Mailbox, env: Envelope, sink: Sink) -> None:
        if len(mailbox.waiting) >= self.limits.mailbox_commands_max:
            sink(Reply(env.corr, FAILED, failure=_FULL_MAILBOX))
            return
        self._mailboxes.wait(mailbox, env, sink)

    def _loaded(self, key: str, mailbox: Mailbox, ready: Cell | None, failure: Failure | None) -> None:
        if not self._mailboxes.close(key, mailbox):
            return
        if ready is None or not self.running or mailbox.cell.shard not in self.shards.owned:
            self._bounce(mailbox, failure)
            return
        ready.last_used = asyncio.get_running_loop().time()
        self._cells[key] = ready
        self._resume(mailbox)

    def _resume(
        self, mailbox: Mailbox, asked: AbstractSet[bytes] = frozenset(), versions: Mapping[bytes, int] = _NONE
    ) -> None:
        """Run what waited, in order; a turn may have the entity wait again, then so does the rest, behind it.

        `asked` are command ids that were looked up just now, `versions` those of them that the journal holds.
        """
        key = f"{mailbox.cell.kind}/{mailbox.cell.id}"
        for env, sink in mailbox.waiting:
            if env.mode != COMMAND or env.command_id not in asked or mailbox.cell.broken:
                self.submit(env, sink)
            elif env.command_id in versions:
                self.repeats.answer(mailbox.cell, env, sink, versions[env.command_id])
            else:
                self._turn(mailbox.cell, key, env, sink, looked_up=True)
        for reminder in mailbox.timers:
            self._fire(reminder)

    def _bounce(self, mailbox: Mailbox, failure: Failure | None = None) -> None:
        """Send those who wait away; timers ring again."""
        for reminder in mailbox.timers:
            self.timers.lost(reminder, failure is not None)
        send_away(mailbox, failure)

    def _bounce_all(self) -> None:
        for mailbox in self._mailboxes.close_all():
            self._bounce(mailbox)

    def _turn(self, cell: Cell, key: str, env: Envelope, sink: Sink, *, looked_up: bool = False) -> None:
        if cell.pending >= self.limits.mailbox_commands_max:
            sink(Reply(env.corr, FAILED, failure=_FULL_MAILBOX))
            return
        if env.deadline_ms <= self._clock.now_ms():
            sink(Reply(env.corr, FAILED, failure=_LATE))
            return
        cell.last_used = asyncio.get_running_loop().time()
        if env.mode == COMMAND:
            self._command(cell, key, env, sink, looked_up)
        elif env.mode in (READ, WATCH):
            self.turns.read(cell, env, sink)
        else:
            sink(Reply(env.corr, FAILED, failure=_UNKNOWN_KIND))

    def _command(self, cell: Cell, key: str, env: Envelope, sink: Sink, looked_up: bool) -> None:
        known = self.turns.known(cell, env)
        if known is None:
            if env.retry and not cell.recent.complete and not looked_up:
                self._look_up(cell, key, env, sink)
                return
            self._execute(cell, env, sink)
            if cell.version - cell.snapshotted >= self.limits.snapshot_every_versions and not cell.broken:
                self.snapshots.keep(cell)
        elif isinstance(known, Failure):
            self.turns.refuse(cell, env, sink, known)
        elif known <= cell.durable:
            self.repeats.answer(cell, env, sink, known)
        else:
            self.repeats.answer_after_commit(cell, env, sink, known)

    def _look_up(self, cell: Cell, key: str, env: Envelope, sink: Sink) -> None:
        """A repeat of something older than memory reaches? Ask the journal; the entity's turns wait behind it.

        One query for all who wait by then: a hot entity gets hundreds of ids from outside at once.
        """
        mailbox = self._mailboxes.open(key, cell)
        self._mailboxes.wait(mailbox, env, sink)
        self.spawn(self._looked_up(key, mailbox))

    async def _looked_up(self, key: str, mailbox: Mailbox) -> None:
        cell = mailbox.cell
        asked = {env.command_id for env, _ in mailbox.waiting if env.mode == COMMAND and env.retry}
        versions = await self.repeats.find(cell, asked)
        if not self._mailboxes.close(key, mailbox):
            return
        if (
            versions is None
            or not self.running
            or self._cells.get(key) is not cell
            or cell.shard not in self.shards.owned
        ):
            self._bounce(mailbox)
        else:
            self._resume(mailbox, asked, versions)

    def _watch_group(self, env: Envelope, sink: Sink) -> None:
        if env.mode == WATCH_GROUP:
            self.watches.watch_group(env.id, env.device)
        else:
            self.watches.unwatch_group(env.id, env.device)
        sink(Reply(env.corr, OK))

    # -- what the writer asks of its owner ----------------------------------------------------------------------

    def evict_broken(self, cell: Cell) -> None:
        self.residents.evict(cell)

    def committed(self, entries: Sequence[Entry]) -> None:  # noqa: ARG002 - the entries told us as they were released
        self.announcer.publish()

    def _reminded(self, _: Cell, row: NewRow) -> None:
        self.timers.committed(row)

    # -- timers, memory, shards ---------------------------------------------------------------------------------

    def _fire(self, reminder: Reminder) -> None:
        key = f"{reminder.kind}/{reminder.id}"
        codec = self._codecs.get(reminder.kind)
        if codec is None or reminder.shard not in self.shards.owned or not self.running:
            return
        mailbox, cell = self._mailboxes.get(key), self._cells.get(key)
        if mailbox is not None:
            mailbox.timers.append(reminder)
        elif cell is not None:
            cell.last_used = asyncio.get_running_loop().time()
            self.turns.timer(cell, reminder, self.timers.lost)
        else:
            mailbox = self._mailboxes.open(key, Cell(codec, reminder.id, reminder.shard))
            mailbox.timers.append(reminder)
            self.loader.load(mailbox.cell, partial(self._loaded, key, mailbox))

    async def _tend_forever(self) -> None:
        """Once a second: write snapshots that are due, forget expired watches, passivate (invariant 8)."""
        while True:
            await asyncio.sleep(1.0)
            try:
                await self.tend()
            except Exception as error:
                log.warning("tending_failed", host=self.name, error=repr(error))

    async def tend(self) -> None:
        """One round of housekeeping. An idle host learns by it that it was fenced, before a caller has to."""
        self.writer.prove()
        self.watches.sweep()
        await self.shards.refresh()
        await self.snapshots.write_kept()
        await self.residents.passivate_some()

    async def snapshot(self, shards: set[int]) -> None:
        await self.snapshots.write(self.residents.in_shards(shards).values())

    async def settle(self, shards: set[int]) -> list[str]:
        """Commit and snapshot all that these shards have under way; returns the keys of what is live."""
        await self.writer.flush()
        cells = self.residents.in_shards(shards)
        await self.snapshots.write(cells.values())
        return list(cells)

    async def renew(self) -> None:
        await self.writer.renew()

    async def release(self, shards: Sequence[int], to: str) -> list[str]:
        """See `Ownership.release`."""
        return await self.shards.release(shards, to)

    async def adopt(self, keys: Sequence[str]) -> None:
        """Take over shards that the map gives us now, loading these entities before they are asked for."""
        await self.shards.refresh()
        for key in keys:
            kind, _, id_ = key.partition("/")
            shard = shard_of(kind, id_)
            if (
                kind in self._codecs
                and shard in self.shards.owned
                and key not in self._cells
                and key not in self._mailboxes
            ):
                mailbox = self._mailboxes.open(key, Cell(self._codecs[kind], id_, shard))
                self.loader.load(mailbox.cell, partial(self._loaded, key, mailbox))

    def forget(self, shards: set[int]) -> None:
        """Also what is being loaded: it must not arrive when the shard has gone and come back meanwhile."""
        self.residents.forget(shards)
        for mailbox in self._mailboxes.close_shards(shards):
            self._bounce(mailbox)
        self.timers.forget_shards(shards)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def tallies(self) -> dict[str, KindTally]:
        """What was counted of each kind since the start."""
        return {kind: codec.tally for kind, codec in self._codecs.items()}

    def queued(self) -> Counter[str]:
        """By kind: turns that wait for their commit, and requests that wait for their entity."""
        return self.writer.queued() + self._mailboxes.queued_by_kind()

    def status(self) -> HostStatus:
        return status_of(self)
