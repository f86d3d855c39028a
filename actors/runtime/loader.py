"""Activation: bringing entities into memory, many by one query (invariant 7).

Whatever is asked for while a query runs is the next query, as in the writer.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from actors.runtime.cell import Cell, SnapshotUnusableError, restore
from actors.runtime.limits import Limits
from actors.runtime.recent import RecentCommands
from domain.errors import Failure, Internal
from storage.journal.interface import CommitUnknown, Journal, JournalError, Loaded

log = structlog.get_logger()

Loading = Callable[[Cell | None, Failure | None], None]
"""Called once: with the ready cell, or with None and the failure that trying again will not mend, if it is one."""

_UNREADABLE = Internal("what is stored of this entity cannot be read by this release", code="unreadable").failure


class Loader:
    def __init__(self, journal: Journal, limits: Limits, ready: Callable[[], Any]) -> None:
        """`ready()` is awaited before each query: nothing may be read while an old commit could still land."""
        self._journal = journal
        self._limits = limits
        self._ready = ready
        self._queue: list[tuple[Cell, Loading]] = []
        self._task: asyncio.Task[None] | None = None
        self.activations = 0

    def load(self, cell: Cell, loaded: Loading) -> None:
        self._queue.append((cell, loaded))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._queue:
                size = self._limits.load_batch_max
                batch, self._queue = self._queue[:size], self._queue[size:]
                await self._load(batch)
        finally:
            self._task = None

    async def _load(self, batch: list[tuple[Cell, Loading]]) -> None:
        try:
            await self._ready()
            found = await self._journal.load([(cell.kind, cell.id) for cell, _ in batch])
        except Exception as error:
            log.warning("load_failed", entities=len(batch), error=repr(error))
            asked_wrongly = isinstance(error, JournalError) and not isinstance(error, CommitUnknown)
            if asked_wrongly and len(batch) > 1:  # by whom? The others must not suffer for it
                middle = len(batch) // 2
                await self._load(batch[:middle])
                await self._load(batch[middle:])
                return
            for _, loaded in batch:
                loaded(None, _UNREADABLE if asked_wrongly else None)
            return
        for (cell, loaded), stored in zip(batch, found, strict=True):
            await self._restore(cell, stored, loaded)

    async def _restore(self, cell: Cell, stored: Loaded, loaded: Loading) -> None:
        keep = self._limits.recent_commands_max
        try:
            await _learn_keys(cell, stored)
            try:
                restore(cell, stored, keep)
            except SnapshotUnusableError:
                log.info("snapshot_rebuilt", kind=cell.kind, id=cell.id)
                rows = await self._journal.rows(cell.kind, cell.id)
                cell.recent = RecentCommands()
                whole = Loaded(cell.kind, cell.id, None, tuple(rows))
                await _learn_keys(cell, whole)
                restore(cell, whole, keep)
        except (OSError, JournalError) as error:
            log.warning("load_failed", entities=1, error=repr(error))
            loaded(None, None)
        except Exception:
            log.exception("replay_failed", kind=cell.kind, id=cell.id)
            loaded(None, _UNREADABLE)
        else:
            self.activations += 1
            tally = cell.codec.tally
            tally.activations += 1
            tally.replayed_rows += len(stored.rows)
            loaded(cell, None)


async def _learn_keys(cell: Cell, stored: Loaded) -> None:
    snapshot = () if stored.snapshot is None else (stored.snapshot.data,)
    await cell.codec.learn_keys((*snapshot, *(row.payload for row in stored.rows)))
