"""The group-committing journal writer: the output gate of a host (invariants 2 and 3).

Turns append entries; whatever queued up during one commit is the next transaction, so there is no timer to
tune. An entry is released only after the fenced transaction it rests on. Entries without a row (reads,
refusals, repeats) pass the same gate: a batch of only those still checks the fence, so that a zombie
host answers nothing from its stale memory.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from actors.runtime.cell import Cell
from actors.runtime.limits import Limits
from actors.runtime.traces import trace_commit
from storage.journal.interface import CommitRefused, CommitUnknown, Fenced, Journal, Lease, NewRow, TimerDone

if TYPE_CHECKING:
    from actors.runtime.tallies import KindTally
    from storage.tracing.tracer import Tracer

log = structlog.get_logger()

Release = Callable[[], None]
Abandon = Callable[[bool], None]


class Entry:
    """One turn's outcome waiting at the gate.

    `release()` runs after the commit, `abandon(refused)` when it failed: `refused` says that the database
    refused this very data, so that trying again is useless.
    """

    __slots__ = ("abandon", "cell", "done", "release", "row")

    def __init__(
        self,
        cell: Cell | None,
        release: Release,
        abandon: Abandon,
        row: NewRow | None = None,
        done: TimerDone | None = None,
    ) -> None:
        self.cell = cell
        self.release = release
        self.abandon = abandon
        self.row = row
        self.done = done


class WriterOwner(Protocol):
    """The host, as the writer sees it."""

    lease: Lease

    def evict_broken(self, cell: Cell) -> None:
        """Forget this cell: what it holds was never committed."""

    async def renew_lease(self) -> None:
        """Take a new epoch after an unknown outcome, however long it takes. Raises `Fenced` if superseded."""

    def committed(self, entries: Sequence[Entry]) -> None:
        """Called once per batch after its entries were released: publish what they changed."""

    def fenced(self) -> None: ...


class JournalWriter:
    def __init__(self, journal: Journal, owner: WriterOwner, limits: Limits, tracer: "Tracer | None" = None) -> None:
        self._tracer = tracer
        self._journal = journal
        self._owner = owner
        self._limits = limits
        self._queue: list[Entry] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._renewals: list[asyncio.Future[None]] = []
        self.batches = 0
        self.rows = 0
        self.failures = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._unsettled = False

    def __len__(self) -> int:
        return len(self._queue)

    def queued(self) -> Counter[str]:
        """How many entries of each kind wait for the next commit."""
        return Counter(entry.cell.kind for entry in self._queue if entry.cell is not None)

    def add(self, entry: Entry) -> None:
        if self._closed:
            entry.abandon(False)
            return
        if entry.cell is not None:
            entry.cell.pending += 1
        self._queue.append(entry)
        self._ensure_running()

    def _ensure_running(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def break_cell(self, cell: Cell) -> None:
        """Forget a cell whose state cannot be trusted, with all that waits on it."""
        self._break([cell])

    def prove(self) -> None:
        """Have the fence checked once, even if there is nothing to write."""
        self.add(Entry(None, lambda: None, lambda _: None))

    async def flush(self) -> None:
        """Wait until everything queued by now has been released or abandoned."""
        if self._task is None and not self._queue:
            return
        done = asyncio.get_running_loop().create_future()

        def settle(*_: Any) -> None:
            if not done.done():
                done.set_result(None)

        self.add(Entry(None, settle, settle))
        await done

    async def settled(self) -> None:
        """Wait until no commit of an entity that was forgotten can still land: only then may it be read back."""
        while True:
            await self._writable.wait()
            if not self._unsettled:
                return
            self._unsettled = False
            await self.flush()  # which may end in another unknown outcome: look again

    async def renew(self) -> None:
        """Have a new lease taken between two commits: one on its way under the old lease would be fenced."""
        if self._closed:
            return
        renewed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._renewals.append(renewed)
        self._ensure_running()
        await renewed

    def close(self) -> None:
        """Abandon everything, now and from now on (the host is fenced or stops)."""
        self._closed = True
        queue, self._queue = self._queue, []
        _abandon(queue, refused=False)
        self._renewed()

    async def _run(self) -> None:
        try:
            while self._queue or self._renewals:
                if self._renewals:
                    await self._renew_lease()
                    self._renewed()
                    continue
                size = self._next_size()
                batch, self._queue = self._queue[:size], self._queue[size:]
                await self._write(batch)
        finally:
            self._task = None
            if self._queue and not self._closed:
                self._ensure_running()

    def _next_size(self) -> int:
        """How many entries make the next transaction: it may have only so many rows, and so many bytes."""
        room = self._limits.commit_bytes_max
        for count, entry in enumerate(self._queue[: self._limits.commit_rows_max]):
            if entry.row is not None:
                room -= len(entry.row.payload)
                if room < 0 and count:
                    return count
        return self._limits.commit_rows_max

    async def _renew_lease(self) -> None:
        try:
            await self._owner.renew_lease()
        except Fenced:
            self._owner.fenced()
        else:
            self._writable.set()

    def _renewed(self) -> None:
        renewals, self._renewals = self._renewals, []
        for renewed in renewals:
            if not renewed.done():
                renewed.set_result(None)

    async def _write(self, batch: list[Entry]) -> None:
        rows = [entry.row for entry in batch if entry.row is not None]
        done = [entry.done for entry in batch if entry.done is not None]
        began = time.perf_counter()
        began_ns = 0 if self._tracer is None else time.time_ns()
        try:
            await self._journal.commit(self._owner.lease, rows, done)
        except Fenced:
            _abandon(batch, refused=False)
            self._owner.fenced()
        except CommitRefused as error:
            await self._isolate(batch, error)
        except (CommitUnknown, OSError) as error:
            log.warning("commit_unknown", rows=len(rows), error=repr(error))
            await self._recover(batch)
        except Exception:
            log.exception("commit_failed", rows=len(rows))
            await self._recover(batch)
        else:
            self.batches += 1
            self.rows += len(rows)
            if rows:
                _count(batch, time.perf_counter() - began)
            if self._tracer is not None:
                trace_commit(self._tracer, rows, began_ns)
            self._release(batch)

    def _release(self, batch: Sequence[Entry]) -> None:
        for entry in batch:
            cell, row = entry.cell, entry.row
            if cell is not None:
                cell.pending -= 1
                if row is not None:
                    cell.durable = row.version
            entry.release()
        self._owner.committed(batch)

    async def _recover(self, batch: list[Entry]) -> None:
        """An unknown outcome: forget every entity involved, then make sure that nothing more can land."""
        self.failures += 1
        self._writable.clear()
        broken = {id(entry.cell): entry.cell for entry in batch if entry.cell is not None}
        self._break(broken.values())
        _abandon(batch, refused=False)
        await self._renew_lease()

    async def _isolate(self, batch: list[Entry], error: CommitRefused) -> None:
        """The database refused the batch: find whose data it was, so that others do not suffer for it.

        First entity by entity, then turn by turn. What belongs to no entity comes last: `flush` waits for all.
        """
        if len(batch) == 1:
            log.error("commit_refused", error=repr(error))
            self.failures += 1
            self._break([entry.cell for entry in batch if entry.cell is not None])
            _abandon(batch, refused=True)
            return
        groups: dict[int, list[Entry]] = {}
        for entry in batch:
            groups.setdefault(id(entry.cell), []).append(entry)
        parts = list(groups.values()) if len(groups) > 1 else [[entry] for entry in batch]
        for part in sorted(parts, key=lambda one: one[0].cell is None):
            cell = part[0].cell
            if self._closed or (cell is not None and cell.broken):
                _abandon(part, refused=False)
            else:
                await self._write(part)

    def _break(self, cells: Any) -> None:
        """Drop cells and fail what is queued on top of them."""
        for cell in cells:
            cell.broken = True
            self._owner.evict_broken(cell)
            self._unsettled = self._unsettled or cell.pending > 0
        doomed = [entry for entry in self._queue if entry.cell is not None and entry.cell.broken]
        if doomed:
            self._queue = [entry for entry in self._queue if entry.cell is None or not entry.cell.broken]
            _abandon(doomed, refused=False)


def _count(batch: Sequence[Entry], seconds: float) -> None:
    """One commit, once for each kind that had rows in it."""
    tallies: dict[int, KindTally] = {}
    for entry in batch:
        if entry.row is not None and entry.cell is not None:
            tally = entry.cell.codec.tally
            tally.rows += 1
            tallies[id(tally)] = tally
    for tally in tallies.values():
        tally.commits.observe(seconds)


def _abandon(entries: Sequence[Entry], *, refused: bool) -> None:
    for entry in entries:
        if entry.cell is not None:
            entry.cell.pending -= 1
        entry.abandon(refused)
